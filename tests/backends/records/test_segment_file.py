"""One file of records, however it is stored, reads the same."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

from backports import zstd
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.records.segment_file import (
    DamagedSegment,
    create_segment,
    modified_at,
    open_segment,
    reads_anywhere,
    unpacked,
    where_now,
)
from tests.support.rows import rows, tabular

# Some lines longer than a frame, and enough of the others for many frames.
LINES = [b"line %d %s\n" % (number, b"x" * (number % 97)) for number in range(20_000)]
LINES[7] = b"y" * 200_000 + b"\n"
WHOLE = b"".join(LINES)


def stored(folder: Path, name: str, octets: bytes = WHOLE) -> Path:
    """A file that was written by us."""
    path = folder / name
    with create_segment(path) as file:
        for at in range(0, len(octets), 50_001):
            file.write(octets[at : at + 50_001])
    return path


@tabular
class SegmentFileTests(SynchronousTestCase):
    """What was written is read back."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    @rows(plain=("a.jsonl",), gzip=("a.jsonl.gz",), zstd=("a.jsonl.zst",))
    def test_read_back(self, name: str) -> None:
        """Lines come back, from the beginning and from any place; nobody else may read the file."""
        path = stored(self.folder, name)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        with open_segment(path) as file:
            self.assertEqual(list(file), LINES)
        with open_segment(path) as file:
            file.seek(300_000)
            self.assertEqual(file.tell(), 300_000)
            self.assertEqual(file.read(1000), WHOLE[300_000:301_000])
            self.assertEqual(file.seek(0, 2), len(WHOLE))
            self.assertEqual(file.read(), b"")

    @rows(plain=("a.jsonl",), gzip=("a.jsonl.gz",), zstd=("a.jsonl.zst",))
    def test_empty(self, name: str) -> None:
        """A file without lines is one, however it is stored."""
        with open_segment(stored(self.folder, name, b"")) as file:
            self.assertEqual(file.read(), b"")

    @rows(plain=("a", True), gzip=("a.gz", False), zstd=("a.zst", True))
    def test_anywhere(self, name: str, expected: bool) -> None:
        """What we packed is read at any place without what stands before."""
        with open_segment(stored(self.folder, name)) as file:
            self.assertEqual(reads_anywhere(file), expected)

    def test_frames(self) -> None:
        """A reader unpacks no more than the frame that it asks for."""
        path = stored(self.folder, "a.zst")
        damaged = bytearray(path.read_bytes())
        damaged[100:200] = bytes(100)
        path.write_bytes(damaged)
        with open_segment(path) as file:
            file.seek(len(WHOLE) - 1000)
            self.assertEqual(file.read(), WHOLE[-1000:])
            file.seek(0)
            self.assertRaises(DamagedSegment, list, file)

    def test_foreign(self) -> None:
        """What other programs packed is read too, and other programs read what we packed."""
        foreign = self.folder / "b.zst"
        foreign.write_bytes(zstd.compress(WHOLE))
        with open_segment(foreign) as file:
            self.assertEqual(file.read(), WHOLE)
        ours = stored(self.folder, "a.zst")
        with zstd.open(ours) as file:
            self.assertEqual(file.read(), WHOLE)
        told = subprocess.run(["zstd", "-dc", str(ours)], capture_output=True, check=True)
        self.assertEqual(told.stdout, WHOLE)

    @rows(
        cut_gzip=("a.gz", gzip.compress(WHOLE)[:-9]),
        no_gzip=("a.gz", b"no gzip"),
        cut_zstd=("a.zst", zstd.compress(WHOLE)[:-9]),
        no_zstd=("a.zst", b"no zstd, but long enough for a table"),
        short_zstd=("a.zst", b"no"),
    )
    def test_damaged(self, name: str, octets: bytes) -> None:
        """Damage has one name, whatever the format."""
        path = self.folder / name
        path.write_bytes(octets)
        with open_segment(path) as file:
            self.assertRaises(DamagedSegment, list, file)

    def test_cut_in_a_frame(self) -> None:
        """What we packed and somebody cut is damaged where it is cut."""
        path = stored(self.folder, "a.zst")
        path.write_bytes(path.read_bytes()[:-3000])
        found = []
        with open_segment(path) as file, self.assertRaises(DamagedSegment):
            found.extend(file)
        self.assertEqual(found, LINES[: len(found)])

    def test_packed_meanwhile(self) -> None:
        """Who has the name from before finds the file that was packed since."""
        path = stored(self.folder, "a.jsonl.zst")
        before = self.folder / "a.jsonl"
        with open_segment(before) as file:
            self.assertEqual(file.read(), WHOLE)
        self.assertEqual(modified_at(before), path.stat().st_mtime)
        self.assertEqual(where_now(before), path)
        self.assertRaises(FileNotFoundError, open_segment, self.folder / "b.jsonl")
        self.assertRaises(FileNotFoundError, modified_at, self.folder / "b.jsonl")

    @rows(plain=(WHOLE,), gzip=(gzip.compress(WHOLE),), zstd=(zstd.compress(WHOLE),), empty=(b"",))
    def test_by_contents(self, octets: bytes) -> None:
        """Where the name says nothing, the contents do."""
        path = self.folder / "log"
        path.write_bytes(octets)
        with path.open("rb") as file:
            self.assertEqual(unpacked(file).read(), WHOLE if octets else b"")

    def test_taken(self) -> None:
        """No file is written over."""
        path = stored(self.folder, "a.zst")
        self.assertRaises(FileExistsError, create_segment, path)
