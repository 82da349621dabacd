"""Files in another format: whole lines, rotated, and never twice half."""

from __future__ import annotations

import os

from corpproxy.audit.formats import FormatName
from corpproxy.audit.sinks import SinkKind
from corpproxy.backends.sinks.delivery import Delivery
from tests.backends.sinks.case import SinkCase
from tests.backends.sinks.servers import wait_until

LONG_AGO = 1_700_000_000.0


class FileTests(SinkCase):
    """A file."""

    def setUp(self) -> None:
        super().setUp()
        self.file = self.folder / "access.log"

    def begin(self, **more) -> Delivery:
        fields = {"template": "{id} {user}"} | more
        return self.start(self.settings(SinkKind.FILE, str(self.file), **fields))

    def lines(self) -> list[str]:
        return [
            line.split()[0]
            for path in sorted(self.folder.glob("access.log*"), key=lambda one: one.stat().st_mtime_ns)
            for line in path.read_text().splitlines()
        ]

    def test_written(self) -> None:
        """Records are in it, for their owner alone."""
        self.begin()
        self.write(5)
        wait_until(lambda: self.file.exists() and len(self.lines()) == 5, "they are written")
        self.assertEqual(self.lines(), self.ids)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_squid(self) -> None:
        """What closes no exchange has no line in Squid's format, and holds nothing up."""
        from corpproxy.audit.results import Kind

        delivery = self.begin(template="", format=FormatName.SQUID)
        self.write(3, kind=Kind.OPENING)
        self.write(2)
        wait_until(lambda: delivery.state.delivered == 2, "they are written")
        self.assertEqual(len(self.file.read_text().splitlines()), 2)

    def test_moved_away(self) -> None:
        """Who moves it away finds a new one with the next record."""
        delivery = self.begin()
        self.write(2)
        wait_until(lambda: delivery.state.delivered == 2, "they are written")
        self.file.rename(self.folder / "access.log.1")
        self.write(2)
        wait_until(lambda: delivery.state.delivered == 4, "the others are written")
        self.assertEqual(len(self.file.read_text().splitlines()), 2)
        self.assertEqual(sorted(self.lines()), self.ids)

    def test_rotated(self) -> None:
        """One that is full is put aside under a name with its moment."""
        delivery = self.begin(rotate_octets=30)
        for number in range(1, 6):
            self.write(2)
            wait_until(lambda number=number: delivery.state.delivered == 2 * number, "they are written")
        self.assertGreaterEqual(len(list(self.folder.glob("access.log-*"))), 3)
        self.assertEqual(sorted(self.lines()), self.ids)

    def rotated(self, **keeps: float) -> set[str]:
        """Rotate three times beside files of ours and of others; the names of those that are left."""
        names = (
            "access.log-20250102T030405Z",
            "access.log-20250102T030405Z-2",
            "access.log-20250102",
            "access.log.1",
        )
        for name in names:
            path = self.folder / name
            path.write_text("000 old\n")
            os.utime(path, (LONG_AGO, LONG_AGO))
        delivery = self.begin(rotate_octets=30, **keeps)
        for number in range(1, 5):
            self.write(2)
            wait_until(lambda number=number: delivery.state.delivered == 2 * number, "they are written")
        return {path.name for path in self.folder.glob("access.log?*")}

    def test_kept(self) -> None:
        """As a rule all that were put aside stay."""
        self.assertEqual(len(self.rotated()), 4 + 3)

    def test_kept_by_count(self) -> None:
        """The last few stay where the policy says so; what log rotation put aside is left to it."""
        left = self.rotated(keep_files=2)
        self.assertEqual(len(left), 2 + 2)
        self.assertLessEqual({"access.log-20250102", "access.log.1"}, left)
        self.assertNotIn("access.log-20250102T030405Z", left)

    def test_kept_by_age(self) -> None:
        """What is older than records are kept goes."""
        left = self.rotated(keep_seconds=3600.0)
        self.assertEqual(len(left), 3 + 2)
        self.assertNotIn("access.log-20250102T030405Z-2", left)

    def test_half_a_line(self) -> None:
        """Half a line that a crash left is taken away; its record comes again whole."""
        self.file.write_text("00000000000000 before\n000000000")
        self.begin()
        self.write(1)
        wait_until(lambda: self.ids[0] in self.lines(), "it is written")
        self.assertEqual(self.lines(), ["00000000000000", *self.ids])

    def test_no_folder(self) -> None:
        """A file that cannot be made is told, and made as soon as it can be."""
        self.file = self.folder / "later" / "access.log"
        delivery = self.begin()
        self.write(1)
        wait_until(lambda: delivery.state.failing_since, "it fails")
        self.assertIn("No such file or directory", delivery.state.reason)
        self.file.parent.mkdir()
        wait_until(lambda: delivery.state.delivered == 1, "it is written")
