"""Where content ends, and whether the connection lives on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.http1.framing import (
    CHUNKED_BODY,
    CLOSE_BODY,
    NO_BODY,
    Body,
    Framing,
    framing_toward,
    keeps_alive,
    request_body,
    response_body,
)
from tests.http1.wire import request, response
from tests.support.rows import rows, tabular

FIVE = Body(Framing.LENGTH, 5)
LENGTH = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"


@tabular
class RequestBodyTests(SynchronousTestCase):
    """The content of requests; what is refused has its rows in test_refused."""

    @rows(
        none=((), NO_BODY),
        length=((LENGTH,), FIVE),
        zero=((b"Content-Length: 0",), NO_BODY),
        leading_zeros=((b"Content-Length: 0005",), FIVE),
        spaces=((b"Content-Length: \t 5 \t",), FIVE),
        longest=((b"Content-Length: " + b"9" * 18,), Body(Framing.LENGTH, 10**18 - 1)),
        chunked=((CHUNKED,), CHUNKED_BODY),
        any_case=((b"transfer-encoding: Chunked",), CHUNKED_BODY),
    )
    def test_framing(self, lines, expected):
        """Content is framed by its length or by chunks, or there is none."""
        self.assertEqual(request_body(request(*lines, method=b"POST")), expected)
        self.assertEqual(request_body(request(*lines, method=b"GET")), expected)

    @rows(connect=(b"CONNECT", b"a:443"), trace=(b"TRACE", b"/"))
    def test_zero(self, method, target):
        """Clients that say that CONNECT has no content are right."""
        self.assertEqual(request_body(request(b"Content-Length: 0", method=method, target=target)), NO_BODY)


@tabular
class ResponseBodyTests(SynchronousTestCase):
    """The content of answers (RFC 9112, section 6.3)."""

    @rows(
        length=((LENGTH,), 200, b"GET", FIVE),
        zero=((b"Content-Length: 0",), 200, b"GET", NO_BODY),
        chunked=((CHUNKED,), 200, b"GET", CHUNKED_BODY),
        close=((), 200, b"GET", CLOSE_BODY),
        head_length=((LENGTH,), 200, b"HEAD", NO_BODY),
        head_chunked=((CHUNKED,), 200, b"HEAD", NO_BODY),
        head_nothing=((), 200, b"HEAD", NO_BODY),
        no_content=((LENGTH,), 204, b"GET", NO_BODY),
        not_modified=((LENGTH,), 304, b"GET", NO_BODY),
        go_on=((LENGTH,), 100, b"POST", NO_BODY),
        switching=((), 101, b"GET", NO_BODY),
        tunnel=((LENGTH, CHUNKED), 200, b"CONNECT", NO_BODY),
        no_tunnel=((LENGTH,), 403, b"CONNECT", FIVE),
        lower_case_head=((LENGTH,), 200, b"head", FIVE),
    )
    def test_framing(self, lines, status, method, expected):
        """What was asked and the status decide before the fields do."""
        self.assertEqual(response_body(response(*lines, status=status), method), expected)


@tabular
class FramingTowardTests(SynchronousTestCase):
    """The framing of content on its second hop."""

    @rows(
        chunks_to_old=(CHUNKED_BODY, 10, CLOSE_BODY),
        chunks=(CHUNKED_BODY, 11, CHUNKED_BODY),
        close=(CLOSE_BODY, 11, CHUNKED_BODY),
        close_to_old=(CLOSE_BODY, 10, CLOSE_BODY),
        length=(FIVE, 10, FIVE),
        none=(NO_BODY, 11, NO_BODY),
    )
    def test_toward(self, body, version, expected):
        """HTTP/1.0 gets no chunks, and HTTP/1.1 keeps its connection."""
        self.assertEqual(framing_toward(body, version), expected)


@tabular
class KeepsAliveTests(SynchronousTestCase):
    """Whether the connection lives on (RFC 9112, section 9.3)."""

    @rows(
        default=((), b"1.1", True),
        close=((b"Connection: close",), b"1.1", False),
        close_among=((b"Connection: x, CLOSE",), b"1.1", False),
        close_on_second_line=((b"Connection: x", b"Connection: close"), b"1.1", False),
        keep=((b"Connection: keep-alive",), b"1.1", True),
        both=((b"Connection: keep-alive, close",), b"1.1", False),
        almost=((b"Connection: closed",), b"1.1", True),
        old=((), b"1.0", False),
        old_keep=((b"Connection: Keep-Alive",), b"1.0", True),
        old_both=((b"Connection: keep-alive, close",), b"1.0", False),
    )
    def test_response(self, lines, version, expected):
        """A server keeps or closes; HTTP/1.0 must say that it keeps."""
        self.assertEqual(keeps_alive(response(*lines, version=version)), expected)
        self.assertEqual(keeps_alive(request(*lines, version=version), as_proxy=False), expected)

    @rows(
        new=((), b"1.1", True),
        new_close=((b"Connection: close",), b"1.1", False),
        old_keep=((b"Connection: keep-alive",), b"1.0", False),
        proxy_keep=((b"Proxy-Connection: keep-alive",), b"1.0", False),
    )
    def test_proxy(self, lines, version, expected):
        """A proxy keeps no connection with an HTTP/1.0 client, whatever it says."""
        self.assertEqual(keeps_alive(request(*lines, version=version)), expected)
