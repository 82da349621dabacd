"""The record in real log servers: nothing is lost when they die under load, and their tools read it."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from pathlib import Path

from corpproxy.audit.erasure import Erasure
from corpproxy.audit.formats import FormatName
from corpproxy.audit.record import decode
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.sinks import SinkKind
from corpproxy.backends.sinks.erase import concerned_sinks, erase_sinks
from corpproxy.backends.sinks.syslog import SyslogSink
from tests.backends.sinks.case import BEGAN, SinkCase
from tests.backends.sinks.servers import wait_until
from tests.backends.sinks.test_checkpoints import sign
from tests.programs.log_servers import POSTGRESQL, RSYSLOG, Postgresql, Rsyslog

NOT_INSTALLED = "not installed: {}; 'make test-deps' installs it"
LOAD_SECONDS = 2.0
AT_ONCE = 100

# What GoAccess calls SQUID has the head of a syslog server before it.
NATIVE = ("--log-format=%x.%^ %~%L %h %^/%s %b %m %U %e %^", "--datetime-format=%s")

# What a field may have from a hostile client; half characters are spelled out before they come to a segment.
ODD = "a|b=c\\d\"e'f\tg\nh\x00i\x7fj\u2028k\u202el%20m <0>1 n{o}p,q;é\U0001f600"


class LoadCase(SinkCase):
    """Two workers write while somebody ends a server."""

    rotate_octets = 200_000

    def under_load(self, *events) -> None:
        """Write for a while; do each of the events when it is its turn."""
        over = threading.Event()

        def load() -> None:
            while not over.is_set():
                self.write(AT_ONCE)
                self.write(AT_ONCE, 1)
                time.sleep(0.05)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            for event in events:
                time.sleep(LOAD_SECONDS / (len(events) + 1))
                event()
            time.sleep(LOAD_SECONDS / (len(events) + 1))
        finally:
            over.set()
            thread.join()


class RsyslogTests(LoadCase):
    """rsyslog with TLS."""

    skip = None if RSYSLOG else NOT_INSTALLED.format("rsyslog")

    def setUp(self) -> None:
        super().setUp()
        self.patch(SyslogSink, "confirm_seconds", 1.0)
        folder = self.folder / "rsyslog"
        folder.mkdir()
        self.server = Rsyslog(folder.resolve())
        self.addCleanup(self.server.kill)

    def begin(self, **more):
        folder = self.server.folder
        fields = {
            "authorities": str(folder / "ca.pem"),
            "certificate": str(folder / "client.pem"),
            "key": str(folder / "client.key"),
        } | more
        return self.start(self.settings(SinkKind.SYSLOG, f"tls://localhost:{self.server.port}", **fields))

    def test_killed(self) -> None:
        """Killed and started again under load, it has every record; all of it is as we wrote it."""
        self.begin()
        self.under_load(self.server.kill, self.server.start)
        self.write(1, user=ODD, agent=ODD, method=ODD, result=ResultCode.BLOCKED)
        found: dict[str, bytes] = {}

        def all_there() -> bool:
            found.update((decode(line).id, line) for line in self.server.lines())
            return found.keys() >= set(self.ids)

        wait_until(all_there, "every record", 30)
        self.assertGreater(len(self.ids), 5 * AT_ONCE)
        last = decode(found[self.ids[-1]])
        self.assertEqual((last.user, last.agent, last.method), (ODD, ODD, ODD))
        head = b"109 2026-11-23T10:00:00.123Z proxy.example corpproxy blocked"
        wait_until(lambda: head in self.server.lines("heads"), "its head")

    def test_without_certificate(self) -> None:
        """Without our certificate it takes nothing, and that is told."""
        delivery = self.begin(certificate="", key="")
        self.write(1)
        wait_until(lambda: delivery.state.failing_since, "it fails", 15)
        self.assertEqual((delivery.state.delivered, self.server.lines()), (0, []))


class PostgresqlTests(LoadCase):
    """PostgreSQL."""

    skip = None if POSTGRESQL else NOT_INSTALLED.format("postgresql")

    def setUp(self) -> None:
        super().setUp()
        self.server = Postgresql()
        self.addCleanup(self.server.stop)

    def begin(self, **more):
        return self.start(self.settings(SinkKind.POSTGRESQL, self.server.address, **more))

    def test_killed(self) -> None:
        """Killed and started again under load, it has every record, and each once."""
        delivery = self.begin()
        self.under_load(self.server.kill, self.server.start)
        wait_until(lambda: delivery.state.delivered >= len(self.ids), "every record", 30)
        rows = self.server.rows("SELECT reference FROM corpproxy_record ORDER BY reference")
        self.assertEqual([one for (one,) in rows], self.ids)

    def test_columns(self) -> None:
        """Facts stand in columns, odd characters as they were, in the partition of their month."""
        delivery = self.begin(checkpoints=True)
        self.write(1, user=ODD, agent=ODD, host="a.example", port=443, categories=("games", ODD), status=200)
        self.write(1, at="2026-12-31T23:59:59.999Z", kind=Kind.DEED, deed="grant-given")
        line = sign(self.records, 1)
        wait_until(lambda: delivery.state.delivered == 2 and delivery.state.checkpoints == 1, "all of it", 20)
        rows = self.server.rows(
            "SELECT user_name, agent, host, categories, status, url, record::text, tableoid::regclass::text "
            "FROM corpproxy_record ORDER BY reference"
        )
        spelled = ODD.replace("\0", "\\x00")
        self.assertEqual(
            rows[0][:6], (spelled, spelled, "a.example", ["games", spelled], 200, "a.example:443")
        )
        stored = decode(rows[0][6].encode())
        self.assertEqual((stored.user, stored.categories, stored.n), (ODD, ("games", ODD), 1))
        self.assertEqual([row[7] for row in rows], ["corpproxy_record_202611", "corpproxy_record_202612"])
        checkpoints = self.server.rows("SELECT line FROM corpproxy_checkpoint")
        self.assertEqual(checkpoints, [(line.decode().rstrip("\n"),)])

    def test_erased(self) -> None:
        """What is erased is empty in the database; a host, a person, a time; and erasing counts first."""
        delivery = self.begin()
        self.write(2, user="amir", host="bank.example", path="/a", client="10.0.0.1")
        self.write(1, user="beth", host="www.bank.example", path="/b", client="10.0.0.2")
        self.write(1, user="amir", host="bank.example", at="2026-11-25T10:00:00.000Z")
        wait_until(lambda: delivery.state.delivered == 4, "they are delivered", 20)
        settings = self.settings(SinkKind.POSTGRESQL, self.server.address)

        def erase(reach=erase_sinks, **erasure) -> int:
            (reached,) = reach([settings], (Erasure(**erasure),))
            self.assertTrue(reached.is_reached, reached.said)
            return reached.count

        self.assertEqual(erase(concerned_sinks, user="amir"), 3)
        self.assertEqual(erase(user="amir", until=BEGAN + 86400), 2)
        self.assertEqual(erase(user="amir", until=BEGAN + 86400), 0)
        self.assertEqual(erase(host="bank.example", groups=("where", "url")), 2)
        rows = self.server.rows(
            "SELECT user_name, host, url, record, status FROM corpproxy_record ORDER BY at"
        )
        self.assertEqual([row[1:4] for row in rows], [(None, None, None)] * 4)
        self.assertEqual([row[0] for row in rows].count("amir"), 1)
        self.assertEqual([row[0] for row in rows].count("beth"), 1)

    def test_again(self) -> None:
        """A service whose positions are old, as after a restored backup, writes no record twice."""
        delivery = self.begin()
        before = (self.positions / "there.json").read_bytes()
        self.write(5)
        wait_until(lambda: delivery.state.delivered == 5, "they are delivered", 20)
        self.stop()
        (self.positions / "there.json").write_bytes(before)
        delivery = self.begin()
        self.write(5)
        wait_until(lambda: delivery.state.delivered == 5, "the others are delivered", 20)
        self.assertEqual(self.server.rows("SELECT count(*) FROM corpproxy_record"), [(10,)])

    def test_secret(self) -> None:
        """What the database complains of has no password in it."""
        password = self.folder / "password"
        password.write_text("s3cret\n")
        address = self.server.address.removesuffix("postgres") + "nothing"
        delivery = self.start(self.settings(SinkKind.POSTGRESQL, address, password=str(password)))
        self.write(1)
        wait_until(lambda: delivery.state.failing_since, "it fails", 15)
        self.assertIn('database "nothing" does not exist', delivery.state.reason)
        self.assertNotIn("s3cret", delivery.state.reason)


class ReportToolTests(SinkCase):
    """Tools that report on Squid's log."""

    def a_log(self) -> Path:
        """A morning in Squid's format."""
        path = (self.folder / "access.log").resolve()
        delivery = self.start(self.settings(SinkKind.FILE, str(path), format=FormatName.SQUID))
        common = {"client": "10.1.2.3", "method": "GET", "scheme": "http", "port": 80, "status": 200}
        self.write(40, **common, user="amir", host="www.example.com", path="/a", sent=1000, seconds=0.2,
                   upstream="192.0.2.7:80", media_type="text/html")  # fmt: skip
        self.write(10, **(common | {"method": "CONNECT", "port": 443}), user=ODD, host="bank.example",
                   sent=5000, result=ResultCode.TUNNELLED, kind=Kind.CLOSING)  # fmt: skip
        self.write(5, **(common | {"status": 403}), user="beth", host="games.example", path="/" + ODD,
                   result=ResultCode.BLOCKED, agent=ODD)  # fmt: skip
        wait_until(lambda: delivery.state.delivered == 55, "it is written")
        return path

    def test_goaccess(self) -> None:
        """GoAccess reads every line."""
        if shutil.which("goaccess") is None:
            self.skipTest(NOT_INSTALLED.format("goaccess"))
        report = self.folder.resolve() / "report.json"
        command = ["goaccess", str(self.a_log()), "--no-progress", "-o", str(report), *NATIVE]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        told = json.loads(report.read_text())
        general = told["general"]
        self.assertEqual((general["total_requests"], general["failed_requests"]), (55, 0))
        self.assertEqual(general["bandwidth"], 40 * 1000 + 10 * 5000)

    def test_calamaris(self) -> None:
        """Calamaris reads every line."""
        if shutil.which("calamaris") is None:
            self.skipTest(NOT_INSTALLED.format("calamaris"))
        log = self.a_log().read_bytes()
        told = subprocess.run(["calamaris", "-a"], input=log, capture_output=True, timeout=60, check=True)
        text = told.stdout.decode("latin-1")
        self.assertRegex(text, r"lines parsed:\s+lines\s+55")
        self.assertRegex(text, r"invalid lines:\s+lines\s+0")
