"""Records of several workers: read in one order, and closed for those that died."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.record import encode
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.backends.records.reader import Follower, last_records, records
from corpproxy.backends.records.segments import segment_name, segment_names
from corpproxy.supervisor.lost import LOOK_BACK_SECONDS, lost_tunnels
from tests.audit.test_record import a_record

BEGAN = 1_790_000_000.0


def at(moment, id, kind=Kind.EXCHANGE, **more):
    """A record that was written so many seconds after the beginning."""
    return a_record(id=id, kind=kind, at=utc_text(BEGAN + moment), **more)


class RecordsCase(SynchronousTestCase):
    """A folder of records."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.complaints = []

    def write(self, worker, *written, begun="20260921T141320Z", number=1):
        with (self.folder / segment_name(begun, worker, number)).open("ab") as file:
            file.write(b"".join(map(encode, written)))


class OrderTests(RecordsCase):
    """Reading."""

    def setUp(self):
        super().setUp()
        self.write(1, at(0, "a"), at(3, "d"), at(4, "e"))
        self.write(2, at(1, "b"), at(2, "c"), at(5, "f"))

    def test_names(self):
        """A segment says which worker wrote it; two of one second and number are two."""
        names = segment_names(self.folder)
        self.assertEqual([name.worker for name in names], [1, 2])
        self.assertEqual(len({name.key for name in names}), 2)

    def test_all(self):
        """All records come in the order they were written, whoever wrote them."""
        found = records(self.folder, self.complaints.append)
        self.assertEqual("".join(one.id for one in found), "abcdef")
        self.assertEqual(self.complaints, [])

    def test_ended(self):
        """What counts is when an exchange ended, which is when it is written."""
        self.write(2, at(0, "g", seconds=9.0))
        self.assertEqual("".join(one.id for one in records(self.folder, self.complaints.append)), "abcdefg")

    def test_last(self):
        """The last records are those of all workers."""
        found = last_records(self.folder, 3, lambda record: True, self.complaints.append)
        self.assertEqual("".join(one.id for one in found), "def")

    def test_followed(self):
        """What is added by several is given in its order, once."""
        follower = Follower(self.folder, self.complaints.append)
        self.write(2, at(7, "h"))
        self.write(1, at(6, "g"), at(8, "i"))
        self.assertEqual("".join(one.id for one in follower.added()), "ghi")
        self.assertEqual(list(follower.added()), [])

    def test_open(self):
        """The last line of each worker may be under the pen just now: nobody complains of it."""
        for worker in (1, 2):
            with (self.folder / segment_name("20260921T141320Z", worker, 1)).open("ab") as file:
                file.write(b'{"id":')
        self.assertEqual(len(list(records(self.folder, self.complaints.append))), 6)
        self.assertEqual(self.complaints, [])


class LostTests(RecordsCase):
    """Tunnels of a dead worker."""

    def lost(self, died=100.0, began=0.0):
        return lost_tunnels(self.folder, 1, BEGAN + began, BEGAN + died)

    def test_open(self):
        """A tunnel without an end gets one, from its opening to the death, with what is known of it."""
        self.write(1, at(1, "a", Kind.OPENING, host="chat.test", user="amir", status=200), at(2, "x"))
        (lost,) = self.lost()
        self.assertEqual((lost.id, lost.kind, lost.result), ("a", Kind.CLOSING, ResultCode.LOST))
        self.assertEqual((lost.host, lost.user, lost.seconds), ("chat.test", "amir", 99.0))

    def test_closed(self):
        """One that ended is left alone."""
        self.write(1, at(1, "a", Kind.OPENING), at(1, "a", Kind.CLOSING, seconds=3.0))
        self.assertEqual(self.lost(), [])

    def test_progress(self):
        """The octets are those of the last progress record."""
        self.write(1, at(0, "a", Kind.OPENING), at(0, "a", Kind.PROGRESS, seconds=300.0, sent=70))
        self.write(1, at(0, "a", Kind.PROGRESS, seconds=600.0, sent=90))
        (lost,) = self.lost(died=640)
        self.assertEqual((lost.sent, lost.seconds), (90, 640.0))

    def test_others(self):
        """Tunnels of other workers, and of an earlier life of this one, are not touched."""
        self.write(2, at(1, "b", Kind.OPENING))
        self.write(1, at(1, "a", Kind.OPENING), at(21, "c", Kind.OPENING))
        self.assertEqual([one.id for one in self.lost(began=20.0)], ["c"])

    def test_looks_back(self):
        """No more is read than can name an open tunnel: progress is recorded every few minutes."""
        late = LOOK_BACK_SECONDS + 1000
        self.write(1, at(0, "a", Kind.OPENING), at(late - 1, "b", Kind.OPENING))
        self.assertEqual([one.id for one in self.lost(died=late)], ["b"])

    def test_segments(self):
        """A tunnel that was opened in one segment and closed in the next has its end."""
        self.write(1, at(1, "a", Kind.OPENING), at(1, "b", Kind.OPENING))
        self.write(1, at(1, "a", Kind.CLOSING, seconds=9.0), number=2)
        self.assertEqual([one.id for one in self.lost()], ["b"])

    def test_cut(self):
        """The line that the death cut is passed over."""
        self.write(1, at(1, "a", Kind.OPENING))
        with (self.folder / segment_name("20260921T141320Z", 1, 1)).open("ab") as file:
            file.write(b'{"id":"a","kind":"clos')
        self.assertEqual([one.id for one in self.lost()], ["a"])
