"""Everything that is refused: one row or more for each code, and the manual page that lists them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import corpproxy.http1
from corpproxy.errors import ProtocolError
from corpproxy.http1.body import body_reader
from corpproxy.http1.forward import forward_response
from corpproxy.http1.framing import request_body, response_body
from corpproxy.http1.head import RequestReader, ResponseReader
from corpproxy.http1.limits import Limits
from corpproxy.http1.refusals import REFUSED, refuse
from corpproxy.http1.steering import expects_continue, max_forwards
from corpproxy.http1.target import parse_target
from tests.http1.wire import wire
from tests.support.feeding import portions
from tests.support.rows import rows, tabular

LIMITS = Limits(content_octets=1000)
PAGE = Path(corpproxy.http1.__file__).parents[2] / "docs" / "reference" / "refused-input.rst"


def take_request(pieces: list[bytes]) -> None:
    """Read a whole request, its content and the end of the connection, as the downstream side does."""
    reader = RequestReader(LIMITS)
    body = None
    for piece in pieces:
        if body is not None:
            body.feed(piece)
            continue
        head = reader.feed(piece)
        if head is not None:
            parse_target(head)
            framed = request_body(head, LIMITS)
            expects_continue(head)
            max_forwards(head)
            body = body_reader(framed, LIMITS, content_octets=LIMITS.content_octets)
            body.feed(reader.take_rest())
    if body is not None:
        body.end_of_stream()


def take_response(pieces: list[bytes]) -> None:
    """Read a whole answer to GET and write its head, as the upstream side does."""
    reader = ResponseReader(LIMITS)
    body = None
    for piece in pieces:
        if body is not None:
            body.feed(piece)
            continue
        head = reader.feed(piece)
        if head is not None:
            framed = response_body(head, b"GET")
            forward_response(head, framing=framed.framing)
            body = body_reader(framed, LIMITS)
            body.feed(reader.take_rest())
    if body is not None:
        body.end_of_stream()


def get(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> bytes:
    """A request with a Host."""
    return wire(start, b"Host: a.test", *lines)


def post(*lines: bytes, content: bytes = b"") -> bytes:
    """A request with content."""
    return get(*lines, start=b"POST / HTTP/1.1") + content


def chunks(content: bytes) -> bytes:
    """A request in chunks."""
    return post(b"Transfer-Encoding: chunked", content=content)


REQUESTS = {
    # Start-lines
    "two_empty_lines": (b"\r\n\r\n" + get(), "empty-lines"),
    "space_before_method": (get(start=b" GET / HTTP/1.1"), "bad-request-line"),
    "space_after_version": (get(start=b"GET / HTTP/1.1 "), "bad-request-line"),
    "two_spaces": (get(start=b"GET  / HTTP/1.1"), "bad-request-line"),
    "tab": (get(start=b"GET\t/ HTTP/1.1"), "bad-request-line"),
    "tab_in_target": (get(start=b"GET /\t HTTP/1.1"), "bad-request-line"),
    "space_in_target": (get(start=b"GET /a b HTTP/1.1"), "bad-request-line"),
    "no_method": (get(start=b"/ HTTP/1.1"), "bad-request-line"),
    "method_and_version": (get(start=b"GET HTTP/1.1"), "no-version"),
    "http_0_9": (b"GET /\r\n", "no-version"),
    "method_not_token": (get(start=b"G(T / HTTP/1.1"), "bad-method"),
    "method_not_ascii": (get(start=b"G\xc9T / HTTP/1.1"), "bad-method"),
    "method_of_65": (get(start=b"M" * 65 + b" / HTTP/1.1"), "method-too-long"),
    "endless_method": (b"M" * 70_000, "method-too-long"),
    "version_lower_case": (get(start=b"GET / http/1.1"), "bad-version"),
    "version_two_digits": (get(start=b"GET / HTTP/1.10"), "bad-version"),
    "version_leading_zero": (get(start=b"GET / HTTP/01.1"), "bad-version"),
    "version_no_minor": (get(start=b"GET / HTTP/1"), "bad-version"),
    "version_other": (get(start=b"GET / HTCPCP/1.0"), "bad-version"),
    "version_2_0": (get(start=b"GET / HTTP/2.0"), "unknown-version"),
    "version_1_2": (get(start=b"GET / HTTP/1.2"), "unknown-version"),
    "version_1_9": (get(start=b"GET / HTTP/1.9"), "unknown-version"),
    "version_0_9": (get(start=b"GET / HTTP/0.9"), "unknown-version"),
    "http_2_preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "unknown-version"),
    "target_not_ascii": (get(start=b"GET /caf\xe9 HTTP/1.1"), "bad-target-octet"),
    "fragment": (get(start=b"GET /a#b HTTP/1.1"), "bad-target-octet"),
    "target_of_no_form": (get(start=b"GET a/b HTTP/1.1"), "bad-target"),
    "one_slash": (get(start=b"GET http:/a.test/ HTTP/1.1"), "bad-target"),
    "long_target": (get(start=b"GET /" + b"a" * 33_000 + b" HTTP/1.1"), "target-too-long"),
    # Octets and field lines
    "nul_in_method": (get(start=b"G\x00T / HTTP/1.1"), "bad-octet"),
    "nul_in_value": (get(b"A: b\x00c"), "bad-octet"),
    "delete_in_value": (get(b"A: b\x7fc"), "bad-octet"),
    "escape_in_name": (get(b"A\x1b: b"), "bad-octet"),
    "form_feed_before_value": (get(b"Transfer-Encoding:\x0cchunked"), "bad-octet"),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00", "bad-octet"),
    "cr_in_value": (get(b"A: b\rC: d"), "bare-cr"),
    "cr_before_cr_lf": (get(b"A: b\r"), "bare-cr"),
    "lf_lines": (b"GET / HTTP/1.1\nHost: a\n\n", "bare-lf"),
    "lf_in_value": (get(b"A: b\nC: d"), "bare-lf"),
    "lf_lf_at_end": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", "bare-lf"),
    "space_before_first": (wire(b"GET / HTTP/1.1", b" Host: a"), "space-before-fields"),
    "tab_before_first": (wire(b"GET / HTTP/1.1", b"\tA: b", b"Host: a"), "space-before-fields"),
    "fold": (get(b"A: b", b" c"), "obs-fold"),
    "fold_with_tab": (get(b"A: b", b"\tc: d"), "obs-fold"),
    "fold_of_nothing": (get(b"A: b", b" "), "obs-fold"),
    "space_colon": (get(b"Content-Length : 5"), "space-before-colon"),
    "tab_colon": (get(b"Transfer-Encoding\t: chunked"), "space-before-colon"),
    "line_without_colon": (get(b"Nonsense"), "no-colon"),
    "empty_name": (get(b": b"), "empty-field-name"),
    "name_with_space": (get(b"A b: c"), "bad-field-name"),
    "name_not_ascii": (get(b"Caf\xc3\xa9: b"), "bad-field-name"),
    "name_in_brackets": (get(b"[A]: b"), "bad-field-name"),
    "large_head": (get(*[b"Cookie: " + b"c" * 8000] * 9), "head-too-large"),
    "many_fields": (get(*[b"A: b"] * 256), "too-many-fields"),
    # Targets and Host
    "get_authority": (get(start=b"GET a.test:80 HTTP/1.1"), "authority-form"),
    "get_host_alone": (get(start=b"GET a.test HTTP/1.1"), "authority-form"),
    "get_asterisk": (get(start=b"GET * HTTP/1.1"), "asterisk-form"),
    "connect_without_port": (get(start=b"CONNECT a.test HTTP/1.1"), "bad-connect-target"),
    "connect_empty_port": (get(start=b"CONNECT a.test: HTTP/1.1"), "bad-connect-target"),
    "connect_port_0": (get(start=b"CONNECT a.test:0 HTTP/1.1"), "bad-connect-target"),
    "connect_high_port": (get(start=b"CONNECT a.test:65536 HTTP/1.1"), "bad-connect-target"),
    "connect_url": (get(start=b"CONNECT http://a.test:443/ HTTP/1.1"), "bad-connect-target"),
    "connect_path": (get(start=b"CONNECT /a HTTP/1.1"), "bad-connect-target"),
    "connect_userinfo": (get(start=b"CONNECT u@a.test:443 HTTP/1.1"), "bad-connect-target"),
    "ftp": (get(start=b"GET ftp://a.test/ HTTP/1.1"), "unknown-scheme"),
    "web_socket_scheme": (get(start=b"GET ws://a.test/ HTTP/1.1"), "unknown-scheme"),
    "name_in_target": (get(start=b"GET http://u@a.test/ HTTP/1.1"), "userinfo"),
    "password_in_target": (get(start=b"GET http://u:p@a.test/ HTTP/1.1"), "userinfo"),
    "host_missing_in_target": (get(start=b"GET http:///x HTTP/1.1"), "bad-authority"),
    "backslash": (get(start=b"GET http://a.test\\.b.test/ HTTP/1.1"), "bad-authority"),
    "port_not_number": (get(start=b"GET http://a.test:8o/ HTTP/1.1"), "bad-authority"),
    "port_too_high": (get(start=b"GET http://a.test:99999/ HTTP/1.1"), "bad-authority"),
    "open_bracket": (get(start=b"GET http://[::1/ HTTP/1.1"), "bad-authority"),
    "no_host": (wire(b"GET / HTTP/1.1"), "no-host"),
    "no_host_absolute": (wire(b"GET http://a.test/ HTTP/1.1"), "no-host"),
    "no_host_connect": (wire(b"CONNECT a.test:443 HTTP/1.1"), "no-host"),
    "empty_host": (wire(b"GET / HTTP/1.1", b"Host:"), "no-host"),
    "two_hosts": (get(b"Host: b.test"), "many-hosts"),
    "same_host_twice": (get(b"host: a.test"), "many-hosts"),
    "two_hosts_1_0": (get(b"Host: b", start=b"GET / HTTP/1.0"), "many-hosts"),
    "host_list": (wire(b"GET / HTTP/1.1", b"Host: a, b"), "bad-host-field"),
    "host_url": (wire(b"GET / HTTP/1.1", b"Host: http://a"), "bad-host-field"),
    "host_userinfo": (wire(b"GET http://a/ HTTP/1.1", b"Host: u@a"), "bad-host-field"),
    "host_port": (wire(b"GET / HTTP/1.1", b"Host: a:b"), "bad-host-field"),
    "host_not_ascii": (wire(b"GET / HTTP/1.1", b"Host: caf\xe9"), "bad-host-field"),
    "host_path": (wire(b"GET http://a/ HTTP/1.1", b"Host: a/b"), "bad-host-field"),
    # Framing
    "both": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked"), "length-and-coding"),
    "both_1_0": (
        wire(b"POST / HTTP/1.0", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        "coding-in-http-1-0",
    ),
    "same_length_twice": (post(b"Content-Length: 5", b"Content-Length: 5"), "many-lengths"),
    "two_lengths": (post(b"Content-Length: 5", b"content-length: 6"), "many-lengths"),
    "length_list": (post(b"Content-Length: 5, 5"), "many-lengths"),
    "length_plus": (post(b"Content-Length: +5"), "bad-length"),
    "length_minus": (post(b"Content-Length: -1"), "bad-length"),
    "length_hexadecimal": (post(b"Content-Length: 0x5"), "bad-length"),
    "length_underscore": (post(b"Content-Length: 1_0"), "bad-length"),
    "length_empty": (post(b"Content-Length:"), "bad-length"),
    "length_space": (post(b"Content-Length: 1 0"), "bad-length"),
    "length_fraction": (post(b"Content-Length: 5.0"), "bad-length"),
    "length_huge": (post(b"Content-Length: " + b"9" * 19), "bad-length"),
    "length_other_digits": (post(b"Content-Length: \xd9\xa3"), "bad-length"),
    "coding_1_0": (wire(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked"), "coding-in-http-1-0"),
    "chunked_twice": (post(b"Transfer-Encoding: chunked, chunked"), "bad-coding"),
    "chunked_on_two_lines": (
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        "bad-coding",
    ),
    "chunked_not_last": (post(b"Transfer-Encoding: chunked, gzip"), "bad-coding"),
    "chunked_then_identity": (
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
        "bad-coding",
    ),
    "chunked_parameter": (post(b"Transfer-Encoding: chunked;q=1"), "bad-coding"),
    "chunked_quoted": (post(b'Transfer-Encoding: "chunked"'), "bad-coding"),
    "empty_member": (post(b"Transfer-Encoding: , chunked"), "bad-coding"),
    "empty_coding": (post(b"Transfer-Encoding:"), "bad-coding"),
    "gzip": (post(b"Transfer-Encoding: gzip"), "unknown-coding"),
    "gzip_chunked": (post(b"Transfer-Encoding: gzip, chunked"), "unknown-coding"),
    "identity": (post(b"Transfer-Encoding: identity"), "unknown-coding"),
    "almost_chunked": (post(b"Transfer-Encoding: xchunked"), "unknown-coding"),
    "connect_content": (get(b"Content-Length: 1", start=b"CONNECT a:443 HTTP/1.1"), "connect-with-content"),
    "connect_chunked": (
        get(b"Transfer-Encoding: chunked", start=b"CONNECT a:443 HTTP/1.1"),
        "connect-with-content",
    ),
    "trace_content": (get(b"Content-Length: 1", start=b"TRACE / HTTP/1.1"), "trace-with-content"),
    "large_content": (post(b"Content-Length: 1001"), "content-too-large"),
    "large_chunk": (chunks(b"3e9\r\n"), "content-too-large"),
    "large_chunks": (chunks(b"3e7\r\n" + b"x" * 999 + b"\r\n2\r\n"), "content-too-large"),
    # Chunks and trailers
    "chunk_0x": (chunks(b"0x5\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
    "chunk_plus": (chunks(b"+5\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
    "chunk_minus": (chunks(b"-5\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
    "chunk_space_first": (chunks(b" 5\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
    "chunk_no_size": (chunks(b"\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
    "chunk_underscore": (chunks(b"1_0\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
    "chunk_17_digits": (chunks(b"00000000000000005\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
    "chunk_bare_lf": (chunks(b"5\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
    "chunk_letters": (chunks(b"5g\r\nhello\r\n0\r\n\r\n"), "bad-chunk-size"),
    "chunk_space_behind": (chunks(b"5 \r\nhello\r\n0\r\n\r\n"), "bad-chunk-extension"),
    "chunk_bare_cr": (chunks(b"5\rX\r\nhello\r\n0\r\n\r\n"), "bad-chunk-extension"),
    "extension_empty": (chunks(b"5;\r\nhello\r\n0\r\n\r\n"), "bad-chunk-extension"),
    "extension_bare_lf": (chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), "bad-chunk-extension"),
    "extension_no_value": (chunks(b"5;a=\r\nhello\r\n0\r\n\r\n"), "bad-chunk-extension"),
    "extension_open_quote": (chunks(b'5;a="b\r\nhello\r\n0\r\n\r\n'), "bad-chunk-extension"),
    "extension_nul": (chunks(b"5;a=\x00\r\nhello\r\n0\r\n\r\n"), "bad-chunk-extension"),
    "extension_long": (chunks(b"5;a=" + b"b" * 1100 + b"\r\nhello\r\n0\r\n\r\n"), "chunk-line-too-long"),
    "extension_endless": (chunks(b"5;" + b"b" * 2000), "chunk-line-too-long"),
    "extensions_sum": (chunks((b"1;a=" + b"b" * 900 + b"\r\nx\r\n") * 80), "chunk-line-too-long"),
    "chunk_too_short": (chunks(b"5\r\nhell\r\n0\r\n\r\n"), "bad-chunk-end"),
    "chunk_too_long": (chunks(b"5\r\nhellos\r\n0\r\n\r\n"), "bad-chunk-end"),
    "chunk_end_lf": (chunks(b"5\r\nhello\n0\r\n\r\n"), "bad-chunk-end"),
    "chunk_end_cr": (chunks(b"5\r\nhello\r0\r\n\r\n"), "bad-chunk-end"),
    "trailer_fold": (chunks(b"0\r\nA: b\r\n c\r\n\r\n"), "obs-fold"),
    "trailer_no_colon": (chunks(b"0\r\nA\r\n\r\n"), "no-colon"),
    "trailer_bare_lf": (chunks(b"0\r\nA: b\n\r\n"), "bare-lf"),
    "trailer_bare_cr": (chunks(b"0\r\n\rA: b\r\n\r\n"), "bare-cr"),
    "trailer_nul": (chunks(b"0\r\nA: \x00\r\n\r\n"), "bad-octet"),
    "trailers_many": (chunks(b"0\r\n" + b"A: b\r\n" * 257 + b"\r\n"), "too-many-fields"),
    "trailers_large": (chunks(b"0\r\nA: " + b"b" * 17_000 + b"\r\n\r\n"), "trailers-too-large"),
    "trailers_endless": (chunks(b"0\r\nA: " + b"b" * 17_000), "trailers-too-large"),
    "content_cut": (post(b"Content-Length: 5", content=b"hell"), "cut-short"),
    "chunk_cut": (chunks(b"5\r\nhell"), "cut-short"),
    "last_chunk_cut": (chunks(b"5\r\nhello\r\n0\r\n"), "cut-short"),
    "trailers_cut": (chunks(b"5\r\nhello\r\n0\r\nA: b\r\n"), "cut-short"),
    # Fields that steer
    "expectation": (post(b"Expect: 200-ok"), "unknown-expectation"),
    "two_expectations": (post(b"Expect: 100-continue, x"), "unknown-expectation"),
    "max_forwards_word": (get(b"Max-Forwards: ten", start=b"OPTIONS / HTTP/1.1"), "bad-max-forwards"),
    "max_forwards_minus": (get(b"Max-Forwards: -1", start=b"TRACE / HTTP/1.1"), "bad-max-forwards"),
    "max_forwards_twice": (
        get(b"Max-Forwards: 1", b"Max-Forwards: 2", start=b"TRACE / HTTP/1.1"),
        "bad-max-forwards",
    ),
}

OK = b"HTTP/1.1 200 OK"

RESPONSES = {
    "status_line": (wire(b"HTTP/1.1 20 OK"), "bad-status-line"),
    "empty_line_first": (b"\r\n" + wire(OK), "bad-status-line"),
    "lf": (b"HTTP/1.1 200 OK\nA: b\n\n", "bare-lf"),
    "fold": (wire(OK, b"A: b", b" c"), "obs-fold"),
    "both": (wire(OK, b"Content-Length: 5", b"Transfer-Encoding: chunked"), "length-and-coding"),
    "same_length_twice": (wire(OK, b"Content-Length: 5", b"Content-Length: 5"), "many-lengths"),
    "bad_length": (wire(OK, b"Content-Length: 5a"), "bad-length"),
    "chunked_1_0": (wire(b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked"), "coding-in-http-1-0"),
    "chunked_twice": (wire(OK, b"Transfer-Encoding: chunked, chunked"), "bad-coding"),
    "gzip": (wire(OK, b"Transfer-Encoding: gzip, chunked"), "unknown-coding"),
    "both_in_304": (
        wire(b"HTTP/1.1 304 Not Modified", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        "length-and-coding",
    ),
    "length_in_204": (wire(b"HTTP/1.1 204 No Content", b"Content-Length: x"), "bad-length"),
    "length_in_100": (wire(b"HTTP/1.1 100 Continue", b"Content-Length: 1, 2"), "many-lengths"),
    "cut": (wire(OK, b"Content-Length: 5") + b"hell", "cut-short"),
    "chunk_cut": (wire(OK, b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n", "cut-short"),
    "chunk_size": (wire(OK, b"Transfer-Encoding: chunked") + b"zz\r\n", "bad-chunk-size"),
    "challenge": (wire(b"HTTP/1.1 407 Proxy Authentication Required"), "foreign-challenge"),
}


@tabular
class RefusedTests(SynchronousTestCase):
    """Each row of the table, cut in every way."""

    def assert_refused(self, take: Callable[[list[bytes]], None], octets: bytes, code: str) -> None:
        for pieces in portions(octets):
            with self.assertRaises(ProtocolError) as caught:
                take(pieces)
            self.assertEqual(caught.exception.code, code)
            self.assertEqual(caught.exception.status, REFUSED[code].status)

    @rows(**REQUESTS)
    def test_request(self, octets, code):
        """A request that RFC 9110 or RFC 9112 calls invalid or leaves ambiguous is refused with its code."""
        self.assert_refused(take_request, octets, code)

    @rows(**RESPONSES)
    def test_response(self, octets, code):
        """So is an answer."""
        self.assert_refused(take_response, octets, code)


class TableTests(SynchronousTestCase):
    """The table of the code, the rows above and the manual page say the same."""

    def sources(self) -> str:
        folder = Path(corpproxy.http1.__file__).parent
        return "".join(path.read_text() for path in folder.glob("*.py") if path.name != "refusals.py")

    def test_every_code_has_a_row(self):
        """No code is in the table that no input is refused with."""
        self.assertEqual({row[1] for row in [*REQUESTS.values(), *RESPONSES.values()]}, set(REFUSED))

    def test_every_code_is_used(self):
        """The code names each code of the table, and no other."""
        quoted = set(re.findall(r'"([a-z][a-z0-9]*(?:-[a-z0-9]+)+|userinfo)"', self.sources()))
        self.assertEqual(set(REFUSED) - quoted, set())
        raised = set(re.findall(r'refuse\("([^"]+)"', self.sources()))
        self.assertEqual(raised - set(REFUSED), set())

    def test_statuses(self):
        """A client is answered with one of the statuses that fit; 502 marks what only servers do."""
        self.assertLessEqual(
            {row.status for row in REFUSED.values()}, {400, 413, 414, 417, 431, 501, 502, 505}
        )

    def test_message(self):
        """The message says what is wrong, which octets, and which text says so."""
        fault = refuse("bare-cr", "octet 17 is 0x0d")
        self.assertEqual(fault.message, "a CR without LF: octet 17 is 0x0d (RFC 9112 2.2)")

    def test_page(self):
        """The manual page lists exactly the codes that can be raised, with their status and their section."""
        listed = re.findall(r"^   \* - ``([a-z0-9-]+)``\n     - (\d+)\n     - (.+)$", PAGE.read_text(), re.M)
        expected = [(code, str(row.status), row.section) for code, row in REFUSED.items()]
        self.assertEqual(sorted(listed), sorted(expected))
