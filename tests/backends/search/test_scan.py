"""Many records are read fast, whatever wrote the segments and however they were packed since."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.record import encode
from corpproxy.backends.search import scan as record_scan
from corpproxy.backends.search.scan import scan
from tests.audit.test_record import a_record


class ScanTests(SynchronousTestCase):
    """A folder of segments."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.complaints = []
        self.progress = []

    def write(self, name, *ids, packed=False, tail=b""):
        """A segment with records of these references."""
        octets = b"".join(encode(a_record(id=one)) for one in ids) + tail
        path = self.folder / (name + ".gz" * packed)
        path.write_bytes(gzip.compress(octets) if packed else octets)
        return path

    def scan(self, since=0.0):
        """The references that are found."""
        found = scan(self.folder, self.complaints.append, since, lambda *done: self.progress.append(done))
        return [record.id for record in found]

    def test_workers(self):
        """The segments of all workers are read, packed ones and those that logrotate numbered too."""
        self.write("records-20261123T100000Z-w1-0001.jsonl", "a", "b")
        self.write("records-20261123T100000Z-w2-0001.jsonl", "c", packed=True)
        self.write("records-20261123T110000Z-0001.jsonl.1", "d")
        self.write("other.jsonl", "e")
        self.assertEqual(sorted(self.scan()), ["a", "b", "c", "d"])
        self.assertEqual(self.complaints, [])

    def test_since(self):
        """A segment that was last written before is not opened."""
        old = self.write("records-20261101T100000Z-0001.jsonl", "old")
        self.write("records-20261123T100000Z-0001.jsonl", "new")
        os.utime(old, (1000.0, 1000.0))
        self.assertEqual(self.scan(since=2000.0), ["new"])

    def test_under_the_pen(self):
        """Half a line at the end of the newest segment of a worker is no damage; elsewhere it is."""
        self.write("records-20261123T100000Z-w1-0001.jsonl", "a", tail=b'{"v":1,"id"')
        self.write("records-20261123T110000Z-w1-0001.jsonl", "b", tail=b'{"v":1,"id"')
        self.write("records-20261123T100000Z-w2-0001.jsonl", "c", tail=b'{"v":1,"id"')
        self.assertEqual(sorted(self.scan()), ["a", "b", "c"])
        (complaint,) = self.complaints
        self.assertIn("records-20261123T100000Z-w1-0001.jsonl:2: not a record", complaint)

    def test_damaged(self):
        """A packed segment that is damaged is read as far as it goes, and told."""
        path = self.write("records-20261123T100000Z-0001.jsonl", *map(str, range(3000)), packed=True)
        path.write_bytes(path.read_bytes()[:-100])
        self.assertGreater(len(self.scan()), 1000)
        self.assertIn("the compressed file is damaged", self.complaints[0])

    def test_progress(self):
        """Progress is told in octets of the files, and ends with all of them."""
        self.patch(record_scan, "_TOLD_EACH", 100)
        self.write("records-20261123T100000Z-0001.jsonl", *map(str, range(2000)))
        self.write("records-20261123T110000Z-0001.jsonl", *map(str, range(2000)), packed=True)
        self.scan()
        done = [one for one, _ in self.progress]
        total = sum(path.stat().st_size for path in self.folder.iterdir())
        self.assertEqual((done, self.progress[-1]), (sorted(done), (total, total)))
        self.assertGreater(len(set(done)), 3)

    def test_nothing(self):
        """An empty folder has no records."""
        self.write("records-20261123T100000Z-0001.jsonl")
        self.assertEqual(self.scan(), [])
