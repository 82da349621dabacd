"""Values that are longer than a box."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.supervisor.parcels import MAX_INLINE_OCTETS, BadParcel, Parcels
from tests.support.rows import rows, tabular


@tabular
class ParcelTests(SynchronousTestCase):
    """Wrapped and opened."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.parcels = Parcels(self.folder)
        self.parcels.clear()

    @rows(
        empty=(0,),
        short=(10,),
        longest=(MAX_INLINE_OCTETS,),
        file=(MAX_INLINE_OCTETS + 1,),
        long=(3_000_000,),
    )
    def test_round(self, length):
        """What is wrapped fits into a box of AMP, comes out as it was, and leaves no file."""
        octets = b"x" * length
        wrapped = self.parcels.wrap(octets)
        self.assertLess(len(wrapped), 65_536)
        self.assertEqual(self.parcels.opened(wrapped), octets)
        self.assertEqual(list(self.folder.iterdir()), [])

    @rows(
        nothing=(b"",),
        no_mark=(b"hello",),
        other_folder=(b"@../../../../etc/passwd",),
        gone=(b"@" + b"0" * 32,),
    )
    def test_bad(self, wrapped):
        """What we did not wrap is not opened; above all no other file is."""
        self.assertRaises(BadParcel, self.parcels.opened, wrapped)

    def test_own(self):
        """A file is for its owner alone."""
        self.parcels.wrap(b"x" * 100_000)
        (file,) = self.folder.iterdir()
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)

    def test_left(self):
        """What a service that died left there is taken away."""
        self.parcels.wrap(b"x" * 100_000)
        self.parcels.clear()
        self.assertEqual(list(self.folder.iterdir()), [])
