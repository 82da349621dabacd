"""
What a server behind us reads out of what clients send.

Whatever a client sends, the octets that reach a server must be whole requests to that server, as another
implementation reads them, and as many as we have records of.
"""

from __future__ import annotations

import h11
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.policy.model import Effect
from tests.support.builders import domain, request, response, rule
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular
from tests.support.wires import Site

NO_GAMES = rule("no games", Effect.BLOCK, what=domain("games.example"))
HIDDEN = request(target=b"http://games.example/hidden")
SCRAPS = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"\xff", b"+", b"-", b"0x",
    b"0", b"0\r\n\r\n", b"5\r\nhello\r\n", b"chunked", b"identity", b"HTTP/1.0", b" folded\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Connection: close\r\n",
    b"Connection: Content-Length\r\n", b"Connection: Host, Transfer-Encoding\r\n", b"Connection: Upgrade\r\n",
    b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n", b"Host: games.example\r\n", HIDDEN,
    b"Proxy-Authorization: Basic YTpi\r\n", b"GET /hidden HTTP/1.1\r\nHost: games.example\r\n\r\n",
]  # fmt: skip
CHUNKED = request(b"POST", b"http://www.example.com/", b"Transfer-Encoding: chunked")
MESSAGES = [
    request(),
    request(b"POST", content=b"hello"),
    CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"0\r\nTrailer: x\r\n\r\n",
    request(b"POST", content=HIDDEN),
    request(b"GET", b"http://www.example.com/", b"Upgrade: websocket", b"Connection: Upgrade"),
    request(version=b"1.0"),
]
scars = st.tuples(st.integers(0, 400), st.integers(0, 8), st.sampled_from(SCRAPS) | st.binary(max_size=4))


def scarred(message: bytes, wounds: list[tuple[int, int, bytes]]) -> bytes:
    """The message with pieces cut out and put in."""
    for at, cut, scrap in wounds:
        begin = at % (len(message) + 1)
        message = message[:begin] + scrap + message[begin + cut :]
    return message


conversations = st.lists(
    st.builds(scarred, st.sampled_from(MESSAGES), st.lists(scars, max_size=3)), min_size=1, max_size=3
).map(b"".join)


def requests_in(octets: bytes) -> list[h11.Request]:
    """The requests that a server reads out of these octets; it raises where they are none."""
    found = []
    while octets:
        reader = h11.Connection(h11.SERVER, max_incomplete_event_size=100_000)
        reader.receive_data(octets)
        while (event := reader.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                found.append(event)
            if isinstance(event, h11.EndOfMessage):
                break
        if not isinstance(event, h11.EndOfMessage):
            return found
        octets = reader.trailing_data[0]
    return found


@tabular
class SmugglingTests(SynchronousTestCase):
    """One request hidden in another."""

    def talk(self, octets: bytes) -> tuple[Site, list[bytes]]:
        """A client sends octets; servers answer each request that they read. Gives what each server got."""
        site = Site(NO_GAMES)
        client = site.client()
        client.send(octets)
        servers, got = [], []
        for _ in range(6):
            site.settle()
            if site.dialling:
                servers.append(site.server())
                got.append(b"")
            for number, server in enumerate(servers):
                before = len(requests_in(got[number]))
                got[number] += server.take()
                for _ in range(len(requests_in(got[number])) - before):
                    if not server.is_over:
                        server.send(response(content=b"ok"))
        client.end()
        site.wait(8)
        return site, got

    @EXAMPLES
    @given(conversations)
    def test_any(self, octets):
        """Servers get requests to themselves alone, and one record stands for each."""
        site, got = self.talk(octets)
        sent = [dict(one.headers) for each in got for one in requests_in(each)]
        hosts = [fields[b"host"].partition(b":")[0].decode() for fields in sent]
        self.assertNotIn("games.example", hosts)
        self.assertEqual(sorted(hosts), sorted(one.host for one in site.records if one.up_sent))
        self.assertEqual([fields for fields in sent if b"proxy-authorization" in fields], [])
        self.assertNotIn(ResultCode.FAILED, [one.result for one in site.records])

    @rows(
        both=(b"Content-Length: 5\r\nTransfer-Encoding: chunked",),
        both_turned=(b"Transfer-Encoding: chunked\r\nContent-Length: 5",),
        identity=(b"Transfer-Encoding: chunked, identity",),
        identity_first=(b"Transfer-Encoding: identity, chunked",),
        coded_twice=(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",),
        empty_member=(b"Transfer-Encoding: ,chunked",),
        vertical_tab=(b"Transfer-Encoding: \x0bchunked",),
        quoted=(b'Transfer-Encoding: "chunked"',),
        parameter=(b"Transfer-Encoding: chunked;q=1",),
        name_space=(b"Transfer-Encoding : chunked",),
        name_nul=(b"Transfer\0-Encoding: chunked",),
        folded=(b"Transfer-Encoding:\r\n chunked",),
        bare_lf=(b"X: y\nTransfer-Encoding: chunked",),
        bare_cr=(b"X: y\rTransfer-Encoding: chunked",),
        plus=(b"Content-Length: +5",),
        list=(b"Content-Length: 5, 5",),
        twice=(b"Content-Length: 5\r\nContent-Length: 5",),
        hexadecimal=(b"Content-Length: 0x5",),
        digits_elsewhere=("Content-Length: \u0665".encode(),),
        overflow=(b"Content-Length: 18446744073709551621",),
        empty=(b"Content-Length:",),
    )
    def test_refused(self, field):
        """Framing that two programs could read differently is refused, and the connection with it."""
        for content in (b"0\r\n\r\n" + HIDDEN, b"hello" + HIDDEN):
            head = b"POST http://www.example.com/ HTTP/1.1\r\nHost: www.example.com\r\n" + field
            site, got = self.talk(head + b"\r\n\r\n" + content)
            self.assertEqual(got, [])
            self.assertEqual(site.record.result, ResultCode.MALFORMED)

    def test_in_the_content(self):
        """A request in the content of another is content."""
        site, got = self.talk(request(b"GET", content=HIDDEN))
        self.assertEqual([one.target for one in requests_in(got[0])], [b"/"])
        self.assertTrue(got[0].endswith(HIDDEN))
        self.assertEqual(site.record.result, ResultCode.FORWARDED)

    def test_behind(self):
        """A request behind another is decided on like any."""
        site, got = self.talk(request() + HIDDEN + request(target=b"http://www.example.com/3"))
        self.assertEqual([one.target for one in requests_in(got[0])], [b"/", b"/3"])
        self.assertEqual([one.result for one in site.records], ["forwarded", "blocked", "forwarded"])

    @rows(length=(b"Content-Length, Host",), coding=(b"Transfer-Encoding",), both=(b"close, content-length",))
    def test_named_in_connection(self, names):
        """Connection takes nothing away that frames or routes."""
        coded = names == b"Transfer-Encoding"
        field = b"Transfer-Encoding: chunked" if coded else b"Content-Length: 5"
        content = b"5\r\nhello\r\n0\r\n\r\n" if coded else b"hello"
        _, got = self.talk(
            request(b"POST", b"http://www.example.com/", b"Connection: " + names, field, content=b"")
            + content
        )
        (one,) = requests_in(got[0])
        self.assertEqual(dict(one.headers)[b"host"], b"www.example.com")
        self.assertIn(field.lower(), got[0].lower())

    @rows(
        h2c=(b"Upgrade: h2c",),
        list=(b"Upgrade: websocket, h2c",),
        two_fields=(b"Upgrade: h2c\r\nUpgrade: websocket",),
        tls=(b"Upgrade: TLS/1.2",),
    )
    def test_upgrade(self, field):
        """No server is asked for a protocol that would carry requests past us."""
        asked = request(
            b"GET",
            b"http://www.example.com/",
            b"Connection: Upgrade, HTTP2-Settings",
            field,
            b"HTTP2-Settings: AAMAAABk",
        )
        _, got = self.talk(asked)
        self.assertNotIn(b"upgrade", got[0].lower())
        self.assertNotIn(b"http2-settings", got[0].lower())
