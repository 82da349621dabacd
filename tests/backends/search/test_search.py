"""A search finds the same with indexes and without, over workers, rotation and compression."""

from __future__ import annotations

import gzip
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.index import BLOCK_OCTETS
from corpproxy.audit.query import RecordQuery
from corpproxy.audit.record import encode
from corpproxy.backends.afterwork.making import make_indexes
from corpproxy.backends.records.reader import Follower
from corpproxy.backends.records.seekable_zstd import FrameReader
from corpproxy.backends.records.segment_file import create_segment
from corpproxy.backends.records.segments import segment_names
from corpproxy.backends.search.index import drop_index, existing_index, index_path, without_index
from corpproxy.backends.search.search import Search
from tests.audit.test_record import a_record

KEY = b"k" * 32
FIRST = "records-20261122T090000Z-w1-0001.jsonl"
OTHER = "records-20261122T090000Z-w2-0001.jsonl"
SECOND = "records-20261123T090000Z-w1-0001.jsonl"
THIRD = "records-20261123T090000Z-w2-0001.jsonl"


def a_line(number: int, length: int = 10) -> bytes:
    """A record of the numbered minute; every third is amir's, every fifth was blocked."""
    fields = {"user": "amir" if number % 3 == 0 else "beth", "rule": "games" if number % 5 == 0 else "all"}
    at = f"2026-11-23T{number // 60:02d}:{number % 60:02d}:00.000Z"
    return encode(a_record(id=f"0wpf3s{number:08d}", at=at, path="/" + "x" * length, **fields))


class SearchTests(SynchronousTestCase):
    """Two workers with a closed segment each, of several blocks, and an open one."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.said: list[str] = []
        for name, numbers in ((FIRST, range(0, 40, 2)), (OTHER, range(1, 40, 2))):
            lines = b"".join(a_line(number, BLOCK_OCTETS // 4) for number in numbers)
            (self.folder / name).write_bytes(lines)
        for name, numbers in ((SECOND, range(40, 50, 2)), (THIRD, range(41, 50, 2))):
            (self.folder / name).write_bytes(b"".join(map(a_line, numbers)))

    def search(self, key: bytes = KEY, *, last_first: bool = False, ends=None, **asked) -> list[int]:
        """The numbers of the records that are found."""
        search = Search(self.folder, RecordQuery(**asked), self.said.append, key, ends)
        return [int(record.id[6:]) for record in search.found(last_first=last_first)]

    def index(self) -> int:
        """Make the missing indexes."""
        return make_indexes(self.folder, KEY, self.said.append)

    def check_all(self) -> None:
        """All kinds of questions have the right answers."""
        self.assertEqual(self.search(), list(range(50)))
        self.assertEqual(self.search(user="amir"), list(range(0, 50, 3)))
        self.assertEqual(self.search(user="amir", rule="games"), [0, 15, 30, 45])
        self.assertEqual(self.search(user="amir", rule="games", last_first=True), [45, 30, 15, 0])
        self.assertEqual(self.search(last_first=True), list(reversed(range(50))))
        self.assertEqual(self.search(reference="0wpf3s00000017"), [17])
        between = {"since": "2026-11-23T00:37:00.000Z", "until": "2026-11-23T00:43:00.000Z"}
        self.assertEqual(self.search(**between), list(range(37, 43)))
        self.assertEqual(self.search(user="carol"), [])
        self.assertEqual(self.said, [])

    def test_without(self) -> None:
        """Without an index everything is read."""
        self.check_all()

    def test_with(self) -> None:
        """Closed segments are indexed once, and found in."""
        self.assertEqual(self.index(), 2)
        self.assertEqual(self.index(), 0)
        self.check_all()

    def test_reads_little(self) -> None:
        """What stands in other blocks than those that the index names is not looked at."""
        self.index()
        path = self.folder / FIRST
        line = a_line(2, BLOCK_OCTETS // 4)
        path.write_bytes(path.read_bytes().replace(line, b"#" * (len(line) - 1) + b"\n"))
        self.assertEqual(self.search(reference="0wpf3s00000038"), [38])
        self.assertNotIn(2, self.search())
        self.assertEqual(len(self.said), 1)

    def test_compressed(self) -> None:
        """A segment that was compressed since keeps its index."""
        self.index()
        for name in (FIRST, OTHER):
            (self.folder / f"{name}.1.gz").write_bytes(gzip.compress((self.folder / name).read_bytes()))
            (self.folder / name).unlink()
        self.assertEqual(without_index(self.folder, KEY), [])
        self.check_all()

    def test_packed(self) -> None:
        """A segment that the service packed keeps its index, and only the needed blocks are unpacked."""
        self.index()
        names = segment_names(self.folder)[:2]
        for name in names:
            packed = name.path.with_name(f"{name.path.name}.zst")
            with create_segment(packed) as file:
                file.write(name.path.read_bytes())
            name.path.unlink()
        self.assertEqual(without_index(self.folder, KEY), [])
        self.check_all()
        unpacked: list[int] = []
        reading = FrameReader.frame
        self.patch(FrameReader, "frame", lambda *args: unpacked.append(args[1]) or reading(*args))
        between = {"since": "2026-11-23T00:37:00.000Z", "until": "2026-11-23T00:38:00.000Z"}
        self.assertEqual(self.search(**between), [37])
        self.assertLess(len(unpacked), 4)

    def test_packed_meanwhile(self) -> None:
        """A segment that is packed between its being named and its being read is read all the same."""
        self.index()
        search = Search(self.folder, RecordQuery(user="amir"), self.said.append, KEY)
        found = search.found()
        first = [next(found) for _ in range(3)]
        for name in (FIRST, OTHER):
            path = self.folder / name
            with create_segment(path.with_name(f"{name}.zst")) as file:
                file.write(path.read_bytes())
            path.unlink()
        self.assertEqual(len([*first, *found]), 17)

    def test_other_content(self) -> None:
        """An index of what a segment was before is no index; the segment is read as a whole."""
        self.index()
        path = self.folder / FIRST
        path.write_bytes(a_line(3) + path.read_bytes())
        self.assertIn(3, self.search(user="amir"))
        self.assertEqual([name.path for name in without_index(self.folder, KEY)], [path])

    def test_other_key(self) -> None:
        """Indexes that were made with another key are made anew."""
        make_indexes(self.folder, b"other" * 8, self.said.append)
        self.check_all()
        self.assertEqual(self.index(), 2)

    def test_spoilt(self) -> None:
        """A damaged index is no index."""
        self.index()
        index_path(self.folder, FIRST).write_bytes(b"cpindex1 but not really")
        self.check_all()

    def test_dropped(self) -> None:
        """Whoever rewrites a segment takes its index away first, whatever became of the file's name."""
        self.index()
        drop_index(self.folder / f"{FIRST}.zst")
        drop_index(self.folder / f"{FIRST}.zst")
        first = segment_names(self.folder)[0]
        self.assertEqual((first.path.name, existing_index(first, KEY)), (FIRST, None))

    def test_orphans(self) -> None:
        """The index of a segment that retention deleted goes with it."""
        self.index()
        (self.folder / FIRST).unlink()
        self.index()
        self.assertFalse(index_path(self.folder, FIRST).exists())
        self.assertTrue(index_path(self.folder, OTHER).exists())

    def test_private(self) -> None:
        """Indexes are for the owner alone, as records are."""
        self.index()
        path = index_path(self.folder, FIRST)
        self.assertEqual((path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777), (0o600, 0o700))

    def test_ends(self) -> None:
        """What comes while a search goes on that follows is left to the following."""
        follower = Follower(self.folder, self.said.append)
        ends = follower.ends.copy()
        with (self.folder / SECOND).open("ab") as file:
            file.write(a_line(51))
        (self.folder / "records-20261124T090000Z-w1-0001.jsonl").write_bytes(a_line(54))
        self.assertEqual(self.search(user="amir", ends=ends), list(range(0, 50, 3)))
        self.assertEqual([int(record.id[6:]) for record in follower.added()], [51, 54])

    def test_cut(self) -> None:
        """The half line at the end of a closed segment is told, that of an open one waits."""
        for name in (FIRST, SECOND):
            with (self.folder / name).open("ab") as file:
                file.write(b'{"v":1,"id":')
        self.assertEqual(self.search(user="amir"), list(range(0, 50, 3)))
        self.assertEqual(self.search(last_first=True), list(reversed(range(50))))
        self.assertEqual([FIRST in said and "cut" in said for said in self.said], [True, True])
