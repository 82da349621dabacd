"""One exchange is found by its reference, whichever segment it is in."""

from __future__ import annotations

import gzip
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.record import encode
from corpproxy.audit.reference import References
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.backends.search import find as record_find
from corpproxy.backends.search.find import find_exchange
from tests.audit.test_record import a_record

# 2026-11-23 10:00 UTC.
AT = 1_795_428_000.0
HOUR = 3600.0


class FindTests(SynchronousTestCase):
    """A folder of segments."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.references = References(3)
        self.complaints = []

    def record(self, at, **fields):
        """A record of an exchange that began then."""
        return a_record(**{"id": self.references.next(at), "at": utc_text(at), **fields})

    def segment(self, begun, *records, worker=0, compressed=False):
        """Write a segment that was begun at a time of the day."""
        whose = f"w{worker}-" if worker else ""
        path = self.folder / f"records-20261123T{begun}Z-{whose}0001.jsonl"
        octets = b"".join(map(encode, records))
        if compressed:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(octets))
        else:
            path.write_bytes(octets)
        return path

    def find(self, record):
        """The records of an exchange."""
        return find_exchange(self.folder, record.id, self.complaints.append)

    def test_found(self):
        """It is found among others, in each segment, compressed or not, of each worker."""
        early, late, other = self.record(AT), self.record(AT + 6 * HOUR), self.record(AT + 7 * HOUR)
        self.segment("090000", self.record(AT - 60), early, self.record(AT + 60))
        self.segment("150000", late, compressed=True)
        self.segment("150000", other, worker=2)
        for record in (early, late, other):
            self.assertEqual(self.find(record), [record])
        self.assertEqual(self.complaints, [])

    def test_tunnel(self):
        """A tunnel has all its records, though they stand in segments hours apart."""
        opening = self.record(AT, kind=Kind.OPENING, result=ResultCode.OPEN)
        closing = a_record(id=opening.id, at=opening.at, kind=Kind.CLOSING, result=ResultCode.TUNNELLED)
        self.segment("090000", opening)
        self.segment("120000", self.record(AT + HOUR))
        self.segment("200000", closing)
        self.assertEqual([one.kind for one in self.find(opening)], [Kind.OPENING, Kind.CLOSING])

    def test_only_where_it_may_be(self):
        """Segments that were closed before the exchange began are not read, nor those after its end."""
        read = []
        whole = record_find._lines_with
        self.patch(
            record_find, "_lines_with", lambda name, *rest: (read.append(name.begun), whole(name, *rest))[1]
        )
        wanted = self.record(AT)
        for begun, record in (
            ("010000", self.record(AT - 9 * HOUR)),
            ("095959", wanted),
            ("200000", self.record(AT)),
        ):
            self.segment(begun, record)
        self.find(wanted)
        self.assertEqual(read, ["20261123T010000Z", "20261123T095959Z"])

    def test_clock_set_back(self):
        """Where the clock was set back by hours, it is found all the same."""
        wanted = self.record(AT + 12 * HOUR)
        self.segment("010000", wanted)
        self.segment("200000", self.record(AT))
        self.assertEqual(self.find(wanted), [wanted])

    def test_named_elsewhere(self):
        """A reference that another record merely names is not that record."""
        wanted = self.record(AT)
        forged = self.record(AT + 1, path=f'/"id":"{wanted.id}"', within=wanted.id)
        self.segment("090000", forged, wanted)
        self.assertEqual(self.find(wanted), [wanted])

    def test_half_a_line(self):
        """Half a line at the end, as a crash leaves it, is not taken for a record."""
        wanted = self.record(AT)
        path = self.segment("090000", self.record(AT), wanted)
        path.write_bytes(path.read_bytes()[:-20])
        self.assertEqual(self.find(wanted), [])

    def test_none(self):
        """What is not there is not found, in empty and in damaged files either."""
        self.segment("080000")
        self.segment("090000", self.record(AT), compressed=True)
        (packed,) = self.folder.glob("*.gz")
        packed.write_bytes(packed.read_bytes()[:-10])
        self.assertEqual(self.find(self.record(AT)), [])
        self.assertIn("the compressed file is damaged", self.complaints[0])
