"""Erasing reaches files in other formats, counts what it would do, and names the sinks it cannot reach."""

from __future__ import annotations

from corpproxy.audit.erasure import Erasure
from corpproxy.audit.formats import FormatName
from corpproxy.audit.sinks import SinkKind
from corpproxy.backends.sinks.erase import concerned_sinks, erase_sinks
from tests.backends.sinks.case import BEGAN, SinkCase
from tests.backends.sinks.servers import wait_until
from tests.support.rows import rows, tabular

ODD = 'a|b=c "d" %20\\e'


@tabular
class EraseTests(SinkCase):
    """Files."""

    def setUp(self) -> None:
        super().setUp()
        self.file = self.folder / "access.log"

    def written(self, name: FormatName):
        """A file with lines about some people."""
        settings = self.settings(SinkKind.FILE, str(self.file), format=name)
        delivery = self.start(settings)
        common = {"method": "GET", "scheme": "http", "port": 80, "path": "/", "client": "10.0.0.1"}
        self.write(3, **common, user="amir", host="www.example.com")
        self.write(2, **common, user=ODD, host="bank.example")
        self.write(1, **common, user="amir", host="bank.example", at="2026-11-25T10:00:00.000Z")
        wait_until(lambda: delivery.state.delivered == 6, "they are written")
        return settings

    def erase(self, settings, **erasure):
        (reached,) = erase_sinks([settings], (Erasure(**erasure),))
        return reached

    @rows(
        squid=(FormatName.SQUID,), combined=(FormatName.COMBINED,), cef=(FormatName.CEF,),
        leef=(FormatName.LEEF,),
    )  # fmt: skip
    def test_lines(self, name: FormatName) -> None:
        """Lines about a person, of a time, or a host go; the others stay as they were."""
        settings = self.written(name)
        before = self.file.read_bytes()
        (counted,) = concerned_sinks([settings], (Erasure(user="amir"),))
        self.assertEqual(counted.count, 4)
        self.assertEqual(self.file.read_bytes(), before)
        reached = self.erase(settings, user="amir", until=BEGAN + 86400)
        self.assertEqual((reached.place, reached.count, reached.is_reached), ("sink-there", 3, True))
        self.assertEqual(self.file.read_bytes().splitlines(), before.splitlines()[3:])
        self.assertEqual(self.erase(settings, user=ODD).count, 2)
        self.assertEqual(self.erase(settings, host="example").count, 1)
        self.assertEqual(self.file.read_bytes(), b"")

    def test_goes_on(self) -> None:
        """The sink goes on in the file that was put in the place of the old one."""
        settings = self.written(FormatName.SQUID)
        self.erase(settings, user="amir")
        self.write(1, user="beth")
        wait_until(lambda: self.file.read_bytes().count(b"\n") == 3, "the next line")
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_json(self) -> None:
        """A file of records in our own format loses values, as the record does."""
        settings = self.written(FormatName.JSON)
        self.assertEqual(self.erase(settings, user="amir", groups=("who",)).count, 4)
        text = self.file.read_text()
        self.assertNotIn('"user":"amir"', text)
        self.assertEqual((text.count("\n"), text.count("www.example.com")), (6, 3))

    def test_put_aside(self) -> None:
        """Files that were put aside are reached too."""
        settings = self.written(FormatName.SQUID)
        self.file.rename(self.folder / "access.log-20261123T100000Z")
        self.assertEqual(self.erase(settings, user="amir").count, 4)

    def test_packed(self) -> None:
        """What log rotation has packed is not looked into, and that is said."""
        settings = self.written(FormatName.SQUID)
        packed = self.folder / "access.log.2.gz"
        packed.write_bytes(b"1795428000.000 0 10.0.0.1 - - GET http://www.example.com/ amir\n")
        reached = self.erase(settings, user="amir")
        self.assertEqual(reached.count, 4)
        self.assertIn("access.log.2.gz beside it: packed, and not looked into", reached.said)
        self.assertIn(b"amir", packed.read_bytes())

    def test_out_of_reach(self) -> None:
        """Others are named, with what to do."""
        for kind, to, more in (
            (SinkKind.SYSLOG, "tls://logs.example", {}),
            (SinkKind.HTTP, "https://logs.example/", {}),
            (SinkKind.FILE, str(self.file), {"template": "{user} {at}"}),
            (SinkKind.POSTGRESQL, "postgresql://127.0.0.1:1/x", {}),
        ):
            reached = self.erase(self.settings(kind, to, **more), user="amir")
            self.assertEqual((reached.is_reached, reached.count), (False, 0))
            self.assertTrue(reached.said)
