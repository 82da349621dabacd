"""Lines of Squid's access log, as requests that a policy can be asked about."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.replay.squid import OddLine, read_line
from tests.support.rows import rows, tabular

# Written by hand, after what the manual of Squid says of the native format.
LINES = (Path(__file__).parent / "access.log").read_bytes().splitlines()


def read(number):
    """One line of the sample, counted from 1."""
    return read_line(LINES[number - 1], number, "rooms")


@tabular
class LineTests(SynchronousTestCase):
    """What a line tells."""

    def test_get(self):
        """Who asked for what, and when: Squid writes the end, and how long it took."""
        record = read(1)
        self.assertEqual(
            (record.at, record.client, record.user), ("2026-11-23T10:00:00.250Z", "10.1.2.3", "amir")
        )
        self.assertEqual((record.method, record.host, record.port), ("GET", "www.example.com", 80))
        self.assertEqual((record.path, record.upstream), ("/news", "93.184.216.34:80"))
        self.assertEqual((record.decision, record.listener, record.id), ("allow", "rooms", "line 1"))

    def test_query_cut(self):
        """A question mark alone at the end is a query that Squid cut off; one that it kept is known."""
        self.assertEqual(read(1).left_out, ("agent", "query"))
        self.assertEqual((read(6).left_out, read(6).path), (("agent",), "/?id=7"))

    def test_tunnel(self):
        """A tunnel is what the proxy sees of https, and began when it was opened."""
        record = read(2)
        self.assertEqual((record.method, record.scheme, record.path), ("CONNECT", "https", ""))
        self.assertEqual(
            (record.host, record.port, record.at), ("mail.example.org", 443, "2026-11-23T09:59:01.000Z")
        )

    @rows(
        answered=(1, "allow", ResultCode.FORWARDED),
        challenged=(3, "", ResultCode.CHALLENGED),
        denied=(4, "block", ResultCode.BLOCKED),
        malformed=(5, "", ResultCode.MALFORMED),
        forbidden_by_the_server=(6, "allow", ResultCode.FORWARDED),
    )
    def test_decision(self, number, decision, result):
        """What Squid decided; a server that says 403 is none of its decisions."""
        record = read(number)
        self.assertEqual((record.decision, record.result), (decision, result))

    def test_names(self):
        """Names are as people typed them: Squid escapes octets and doubles a backslash."""
        self.assertEqual((read(6).user, read(7).user), ("björn", "school\\dora"))

    def test_parent(self):
        """The address of another proxy is not that of the server."""
        self.assertEqual(read(6).upstream, "")

    def test_ipv6(self):
        """Addresses of both families."""
        record = read(7)
        self.assertEqual((record.client, record.host, record.port), ("2001:db8::7", "2001:db8::1", 8080))

    def test_listener(self):
        """Where several listeners might have taken it, the listener is not known."""
        self.assertEqual(read_line(LINES[1], 2).left_out, ("agent", "listener"))

    @rows(
        words=(LINES[7], "it has 7 fields"),
        ftp=(LINES[8], "'ftp://ftp.example.org/x' is no URL that a proxy serves"),
        code=(LINES[0].replace(b"TCP_MISS/200", b"miss"), "'miss' is no result code and status"),
        time=(LINES[0].replace(b"1795428000.500", b"yesterday"), "'yesterday 250' is no time"),
        far=(LINES[0].replace(b"1795428000.500", b"1e300"), "is no time"),
        client=(LINES[0].replace(b"10.1.2.3", b"room4"), "'room4' is no IP address of a client"),
        host=(LINES[0].replace(b"www.example.com", b"www..com"), "cannot be asked for"),
        shortened=(
            LINES[0].replace(b"www.example.com/news?", b"rcv.exa...le/services"),
            "cannot be asked for",
        ),
        empty=(b"", "it has 0 fields"),
        octets=(b"\xff\x00 " * 12, "is no result code"),
    )
    def test_odd(self, line, said):
        """A line that is none says what is wrong with it."""
        odd = self.assertRaises(OddLine, read_line, line, 1)
        self.assertIn(said, odd.message)

    def test_more_fields(self):
        """Fields that a site added behind are passed over."""
        self.assertEqual(read_line(LINES[0] + b" [User-Agent: x] more", 1).host, "www.example.com")
