"""What the record tells of rules and exceptions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.reached import Reached
from corpproxy.audit.record import UnreadableRecord, encode
from corpproxy.audit.results import Kind
from tests.audit.test_record import a_record

SINCE = "2026-11-23T10:00:00.000Z"


class ReachedTests(SynchronousTestCase):
    """Exchanges are counted by what decided them."""

    def counted(self, *fields):
        reached = Reached(SINCE)
        for one in fields:
            values = {"kind": Kind.EXCHANGE, "at": SINCE, "rule": "games", **one}
            reached.take(encode(a_record(**values)))
        return reached

    def test_counts(self):
        """By rule, by rule in shadow, by exception."""
        found = self.counted(
            {}, {"rule": "rest", "would_block": "chat"}, {"rule": "rest", "exception": "club"}
        )
        self.assertEqual((found.exchanges, found.rules), (3, {"games": 1, "rest": 2}))
        self.assertEqual((found.rehearsed, found.exceptions), ({"chat": 1}, {"club": 1}))

    def test_tunnel(self):
        """A tunnel counts when it is over; one that is open has met its rule."""
        found = self.counted({"kind": Kind.OPENING}, {"kind": Kind.PROGRESS})
        self.assertEqual((found.exchanges, dict(found.rules)), (0, {"games": 0}))
        found = self.counted({"kind": Kind.OPENING}, {"kind": Kind.CLOSING})
        self.assertEqual((found.exchanges, dict(found.rules)), (1, {"games": 1}))

    def test_ended(self):
        """A rule that ended a tunnel has met it."""
        found = self.counted({"kind": Kind.CLOSING, "ended_rule": "lessons"})
        self.assertEqual(dict(found.rules), {"games": 1, "lessons": 1})

    def test_no_exchange(self):
        """A record of another kind has met no rule."""
        line = encode(a_record(kind=Kind.EXCHANGE, at=SINCE, rule="games"))
        reached = Reached(SINCE)
        reached.take(line.replace(b'"kind":"exchange"', b'"kind":"deed"'))
        self.assertEqual((reached.exchanges, dict(reached.rules)), (0, {}))

    def test_before(self):
        """What began before does not count."""
        self.assertEqual(self.counted({"at": "2026-11-23T09:59:59.999Z"}).exchanges, 0)

    def test_no_rule(self):
        """An exchange that no rule decided is an exchange."""
        found = self.counted({"rule": ""})
        self.assertEqual((found.exchanges, dict(found.rules)), (1, {}))

    def test_unreadable(self):
        """A line that is no record, or of another format, is said to be none."""
        for line in (b"{", b"", b'{"v":99,"kind":"exchange","at":""}', b"\xff\n"):
            self.assertRaises(UnreadableRecord, Reached(SINCE).take, line)
