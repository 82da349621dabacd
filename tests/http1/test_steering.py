"""Upgrade, Expect, Max-Forwards."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.http1.steering import expects_continue, max_forwards, upgrade_protocol
from tests.http1.wire import request, response
from tests.support.rows import rows, tabular

UPGRADE = b"Connection: Upgrade"


@tabular
class SteeringTests(SynchronousTestCase):
    """What a head asks of the hops it passes; what is refused has its rows in test_refused."""

    @rows(
        web_socket=((UPGRADE, b"Upgrade: WebSocket"), b"1.1", b"websocket"),
        several=((b"Connection: x, upgrade", b"Upgrade: a/1,b", b"Upgrade: c"), b"1.1", b"a/1, b, c"),
        not_named=((b"Upgrade: websocket",), b"1.1", None),
        nothing=((UPGRADE,), b"1.1", None),
        empty=((UPGRADE, b"Upgrade:"), b"1.1", None),
        old=((UPGRADE, b"Upgrade: websocket"), b"1.0", None),
    )
    def test_upgrade(self, lines, version, expected):
        """An upgrade is asked for, or agreed to, by Upgrade and Connection together, in HTTP/1.1."""
        self.assertEqual(upgrade_protocol(request(*lines, version=version)), expected)
        self.assertEqual(upgrade_protocol(response(*lines, version=version, status=101)), expected)

    @rows(
        yes=((b"Expect: 100-Continue",), b"1.1", True),
        no=((), b"1.1", False),
        empty=((b"Expect:",), b"1.1", False),
        old=((b"Expect: 100-continue",), b"1.0", False),
        old_other=((b"Expect: x",), b"1.0", False),
    )
    def test_expect(self, lines, version, expected):
        """A client of HTTP/1.1 may wait for 100 (Continue)."""
        self.assertEqual(expects_continue(request(*lines, version=version)), expected)

    @rows(
        trace=(b"TRACE", b"10", 10),
        options=(b"OPTIONS", b"0", 0),
        zeros=(b"OPTIONS", b"007", 7),
        get=(b"GET", b"0", None),
        get_odd=(b"GET", b"odd", None),
    )
    def test_max_forwards(self, method, value, expected):
        """Max-Forwards counts for TRACE and OPTIONS and is nothing elsewhere."""
        self.assertEqual(max_forwards(request(b"Max-Forwards: " + value, method=method)), expected)

    def test_no_max_forwards(self):
        """Without the field there is no limit."""
        self.assertIsNone(max_forwards(request(method=b"TRACE")))
