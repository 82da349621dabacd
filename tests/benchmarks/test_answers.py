"""The large record of the benchmark is one that the commands read."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import made_records
from benchmarks.made_records import make_records
from corpproxy.audit.query import RecordQuery
from corpproxy.audit.results import Kind
from corpproxy.backends.records.segments import segment_names
from corpproxy.backends.search.search import Search


class MadeTests(SynchronousTestCase):
    """A small one of them."""

    def test_made(self) -> None:
        """There are as many records as were asked for, and what is to be looked for is there."""
        self.patch(made_records, "SEGMENT_OCTETS", 2_000_000)
        folder = Path(self.mktemp())
        folder.mkdir()
        made = make_records(folder, 9_000)
        said: list[str] = []
        found = list(Search(folder, RecordQuery(), said.append).found())
        self.assertEqual((len(found), said), (9_000, []))
        self.assertGreater(len(segment_names(folder)), 1)
        self.assertTrue({Kind.EXCHANGE, Kind.OPENING, Kind.CLOSING} <= {record.kind for record in found})
        self.assertTrue(any(record.id == made.reference for record in found))
        self.assertEqual(sum(name.path.stat().st_size for name in segment_names(folder)), made.octets)
