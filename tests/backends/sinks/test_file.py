"""Files in another format: whole lines, rotated, and never twice half."""

from __future__ import annotations

from corpproxy.audit.formats import FormatName
from corpproxy.audit.sinks import SinkKind
from corpproxy.backends.sinks.delivery import Delivery
from tests.backends.sinks.case import SinkCase
from tests.backends.sinks.servers import wait_until


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
