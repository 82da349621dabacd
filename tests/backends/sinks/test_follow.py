"""A sink gets each record once, over restarts, packing and erasing; what it cannot get is counted."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from corpproxy.audit.checkpoint import Checkpoint, signed
from corpproxy.backends.records.checkpoint_files import append_checkpoint
from corpproxy.backends.records.segment_packing import pack
from corpproxy.backends.records.segment_rewrite import rewrite, sole
from corpproxy.backends.records.segments import segment_names
from corpproxy.backends.sinks import follow
from corpproxy.backends.sinks.follow import RecordFollower
from tests.backends.sinks.case import SinkCase


class FollowCase(SinkCase):
    """One follower."""

    rotate_octets = 4000

    def setUp(self) -> None:
        super().setUp()
        self.follower = self.a_follower()

    def a_follower(self, spool: int = 1 << 30) -> RecordFollower:
        return RecordFollower(self.records, self.positions / "there.json", spool)

    def take(self, most: int = 1000) -> list[str]:
        """Take what there is, up to so many batches, and say that it was delivered."""
        lines: list[bytes] = []
        while most and (batch := self.follower.batch()) is not None:
            lines += batch.lines
            self.follower.deliver(batch.positions)
            most -= 1
        return self.ids_in(lines)


class FollowTests(FollowCase):
    """Following."""

    def test_each_once(self) -> None:
        """What two workers write in many segments comes once, that of each worker in its order."""
        for _ in range(10):
            self.write(5)
            self.write(3, 1)
        found = self.take()
        self.assertGreater(len(segment_names(self.records)), 4)
        self.assertEqual(sorted(found), self.ids)
        self.assertEqual(self.take(), [])
        self.write(1)
        self.assertEqual(self.take(), self.ids[-1:])

    def test_new(self) -> None:
        """A sink that is new begins with what comes from now on."""
        self.write(30)
        (self.positions / "there.json").unlink()
        self.follower = self.a_follower()
        self.assertEqual(self.take(), [])
        self.write(2)
        self.assertEqual(self.take(), self.ids[-2:])

    def test_restart(self) -> None:
        """After a restart it goes on where it was; what was not delivered for sure comes once more."""
        self.patch(follow, "MAX_RECORDS", 4)
        self.write(12)
        found = self.take(most=1)
        self.assertIsNotNone(self.follower.batch())
        self.follower = self.a_follower()
        found += self.take()
        self.assertEqual(found, self.ids)

    def test_rewind(self) -> None:
        """What broke on the way comes again."""
        self.write(3)
        first = self.follower.batch()
        self.assertIsNone(self.follower.batch())
        self.follower.rewind()
        self.assertEqual(self.follower.batch(), first)

    def test_packed(self) -> None:
        """A segment that is packed half-way is read on."""
        self.patch(follow, "MAX_RECORDS", 2)
        for _ in range(4):
            self.write(5)
        found = self.take(most=1)
        for name in segment_names(self.records)[:-1]:
            pack(name.path)
        found += self.take()
        self.assertEqual(found, self.ids)

    def test_erased(self) -> None:
        """A segment whose lines were made shorter half-way is read on at the same record."""
        self.patch(follow, "MAX_RECORDS", 2)
        for _ in range(4):
            self.write(5)
        found = self.take(most=1)
        with sole(self.records):
            for name in segment_names(self.records)[:-1]:
                rewrite(name.path, lambda line: line.replace(b'"user":"user', b'"user":"u'))
        found += self.take()
        self.assertEqual(found, self.ids)

    def test_half_a_line(self) -> None:
        """Half a line waits for its other half, unless a crash left it: then what follows comes."""
        self.write(2)
        (name,) = segment_names(self.records)
        with name.path.open("ab") as file:
            file.write(b'{"v":1,"id":"half')
        self.assertEqual(self.take(), self.ids)
        self.writers[0] = self.writer(1)
        self.write(2)
        self.assertEqual(self.take(), self.ids[2:])


class SpoolTests(FollowCase):
    """A sink that is too far behind."""

    def test_waiting(self) -> None:
        """How far it is behind is told in octets."""
        for _ in range(4):
            self.write(5)
        whole = sum(name.path.stat().st_size for name in segment_names(self.records))
        self.assertEqual(self.follower.waiting(), whole)
        pack(segment_names(self.records)[0].path)
        self.assertEqual(self.follower.waiting(), whole)
        self.take()
        self.assertEqual(self.follower.waiting(), 0)

    def test_dropped(self) -> None:
        """The oldest of what is beyond the bound is dropped for it, and counted; the files have it."""
        for _ in range(10):
            self.write(5)
        self.follower = self.a_follower(spool=6000)
        self.assertLessEqual(self.follower.waiting(), 6000)
        dropped = self.follower.dropped
        self.assertGreater(dropped, 20)
        self.assertEqual(self.take(), self.ids[dropped:])

    def test_deleted(self) -> None:
        """Records of a segment that was deleted too early are counted, as checkpoints name them."""
        self.patch(follow, "MAX_RECORDS", 2)
        key = Ed25519PrivateKey.generate()
        ends = []
        for _ in range(4):
            self.write(5)
            ends.append(self.writers[0].end)
        found = self.take(most=1)
        checkpoint = signed(Checkpoint(number=1, at="", chains=tuple(ends)), key)
        append_checkpoint(self.records, checkpoint, self.now)
        first = segment_names(self.records)[0]
        gone = first.path.read_bytes().count(b"\n") - len(found)
        first.path.unlink()
        self.follower.waiting()
        self.assertEqual(self.follower.dropped, gone)
        self.assertEqual(self.take(), self.ids[len(found) + gone :])
