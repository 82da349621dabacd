"""What a long run compares: counts of all sides, and how processes grow."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.fixtures import user_name
from benchmarks.soak import HASTY, LOOKS, Counts, Recorded, Size, _alike, _growth
from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode


def record(**fields: object) -> Record:
    """A record of the load, of somebody steady."""
    asked = {
        "id": "1",
        "kind": Kind.EXCHANGE,
        "at": "2026-11-23T10:00:00.000Z",
        "result": ResultCode.FORWARDED,
        "user": user_name(3),
        "method": "GET",
        "agent": "load",
        "received": 10,
        "sent": 20,
        "up_sent": 5,
        "up_received": 15,
    }
    return Record(**{**asked, **fields})


class RecordedTests(SynchronousTestCase):
    """Each record counts where it belongs."""

    def recorded(self, *records: Record) -> Recorded:
        made = Recorded()
        for one in records:
            made.take(one)
        return made

    def test_whole(self) -> None:
        """An exchange of the load counts for the load, its person and the origin."""
        made = self.recorded(record())
        self.assertEqual(
            (made.whole, made.named, made.up), (Counts(1, 10, 20), Counts(1, 10, 20), Counts(1, 5, 15))
        )
        self.assertEqual(made.cut, Counts())

    def test_cut(self) -> None:
        """One that was cut off counts apart; the origin has seen it all the same."""
        made = self.recorded(record(user=user_name(HASTY)))
        self.assertEqual((made.whole, made.named), (Counts(), Counts()))
        self.assertEqual((made.cut, made.up), (Counts(1, 10, 20), Counts(1, 5, 15)))

    def test_tunnel(self) -> None:
        """A tunnel counts when it closes, and is missed when it does not."""
        opening = record(method="CONNECT", kind=Kind.OPENING)
        made = self.recorded(opening)
        self.assertFalse(made.opened <= made.closings.keys())
        made = self.recorded(opening, record(method="CONNECT", kind=Kind.CLOSING))
        self.assertTrue(made.opened <= made.closings.keys())
        self.assertEqual((made.tunnelled, made.up), (Counts(1, 5, 15), Counts()))

    def test_twice(self) -> None:
        """Two closing records of one exchange are seen."""
        self.assertEqual(max(self.recorded(record(), record()).closings.values()), 2)


class AlikeTests(SynchronousTestCase):
    """Sums of the ledger and of the records."""

    def test_alike(self) -> None:
        """Octets may differ by what is allowed, exchanges never, and a sum must be on both sides."""
        counts = Counts(3, 100, 200)
        self.assertTrue(_alike(counts, Counts(3, 100, 200), 0))
        self.assertTrue(_alike(counts, Counts(3, 90, 210), 10))
        self.assertFalse(_alike(counts, Counts(3, 90, 211), 10))
        self.assertFalse(_alike(counts, Counts(3, 100, 201), 0))
        self.assertFalse(_alike(counts, Counts(4, 100, 200), 10))
        self.assertFalse(_alike(counts, None, 10))


class GrowthTests(SynchronousTestCase):
    """From when memories are full to the end of a run."""

    def holds(self, full: int, *sizes: dict[int, Size]) -> list[bool]:
        return [row[2] for row in _growth(list(sizes), full)]

    def test_flat(self) -> None:
        """What grew while memories filled is no fault."""
        first, flat = {7: Size(10_000_000, 10)}, {7: Size(20_000_000, 30)}
        self.assertEqual(self.holds(1, first, flat, flat, flat), [True, True])

    def test_grown(self) -> None:
        """Memory and descriptors that grow to the end are told."""
        half = {7: Size(20_000_000, 30)}
        for end in (Size(22_000_000, 30), Size(20_000_000, 130)):
            self.assertEqual(self.holds(1, half, half, half, *[{7: end}] * LOOKS), [True, False])

    def test_under_way(self) -> None:
        """What is under way in one look, and over in the next, is not kept."""
        flat, busy = {7: Size(20_000_000, 30)}, {7: Size(30_000_000, 300)}
        self.assertEqual(self.holds(1, flat, flat, flat, flat, busy, flat, busy), [True, True])

    def test_replaced(self) -> None:
        """A worker that died on the way is told."""
        self.assertEqual(self.holds(1, {7: Size(1, 1)}, {7: Size(1, 1)}, {8: Size(1, 1)}), [False])
