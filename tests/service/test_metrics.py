"""What the metrics and ``corpproxy status`` say is what was done."""

from __future__ import annotations

from corpproxy.admin.metrics import METRICS
from tests.service.case import PEOPLE, SIGN_IN, ServiceCase
from tests.service.client import Client, ask
from tests.service.test_reload import ReloadCase

RULES = """
rules:
  - {name: no bets, what: {domain: bets.test}, do: block}
  - {name: everything else, do: allow}
"""


class MetricsTests(ReloadCase):
    """A service that served a known handful of exchanges."""

    people = PEOPLE
    policy = SIGN_IN + RULES

    async def test_all_measured(self):
        """Every metric of the table is measured by somebody."""
        missing = {one.name for one in METRICS if one.measured} - set(self.service.telemetry.sources)
        self.assertEqual(missing, set())
        text = (await self.ask_admin("/metrics")).text
        absent = [one.name for one in METRICS if f"# TYPE {one.name.removesuffix('_total')}" not in text]
        self.assertEqual(absent, [])

    async def test_values(self):
        """Each value is what was done."""
        amir = Client(self.forward, "amir", PEOPLE["amir"])
        self.addCleanup(amir.close)
        for host in ("origin.test", "origin.test", "bets.test"):
            await self.thread(amir.ask, "GET", self.url(host))
        await self.get()
        tunnel = Client(self.forward, "amir", PEOPLE["amir"])
        self.addCleanup(tunnel.close)
        await self.thread(tunnel.ask, "CONNECT", f"origin.test:{self.origin.echo_port}")
        await self.thread(tunnel.echoes, b"hello")
        expected = {
            'corpproxy_exchanges_total{decision="allow",result="forwarded"}': 2,
            'corpproxy_exchanges_total{decision="block",result="blocked"}': 1,
            'corpproxy_exchanges_total{decision="",result="challenged"}': 1,
            'corpproxy_answers_total{method="GET",status="407"}': 1,
            'corpproxy_sign_ins_total{outcome="ok"}': 1,
            'corpproxy_sign_ins_total{outcome="remembered"}': 3,
            'corpproxy_sign_ins_total{outcome="failed"}': 0,
            "corpproxy_open_tunnels": 1,
            "corpproxy_open_connections": 2,
            'corpproxy_upstream_connections{state="kept"}': 1,
            "corpproxy_upstream_connections_opened_total": 2,
            "corpproxy_upstream_connections_reused_total": 1,
            "corpproxy_ready": 1,
            "corpproxy_policy_is_last_good": 0,
            f'corpproxy_policy_info{{version="{self.service.configuration.version}"}}': 1,
            "corpproxy_records_lost_total": 0,
        }
        for line, value in expected.items():
            self.assertEqual(await self.metric(line), value, line)
        loaded = await self.metric("corpproxy_policy_loaded_timestamp_seconds")
        self.assertLess(abs(loaded - self.now()), 30)
        await self.closed(4)
        # They count as written once the disk has said so.
        await self.until(lambda: self.service.writer.written >= 5)
        self.assertEqual(await self.metric("corpproxy_records_written_total"), 5)
        tunnel.socket.close()
        await self.closed(5)
        self.assertEqual(await self.metric("corpproxy_open_tunnels"), 0)
        line = 'corpproxy_exchanges_total{decision="allow",result="tunnelled"}'
        self.assertEqual(await self.metric(line), 1)
        self.assertEqual(await self.metric("corpproxy_tunnel_duration_seconds_count"), 1)
        self.assertEqual(await self.metric("corpproxy_exchange_duration_seconds_count"), 4)

    async def test_status(self):
        """``corpproxy status`` says who runs, since when, where, with what."""
        client = Client(self.forward, "amir", PEOPLE["amir"])
        self.addCleanup(client.close)
        await self.thread(client.ask, "GET", self.url())
        code, out, err = await self.command("status")
        lines = dict(line.split(": ", 1) for line in out.splitlines())
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(lines["site"], "Hillside School")
        self.assertEqual(lines["policy"], str(self.file))
        self.assertEqual(lines["version"], self.service.configuration.version)
        self.assertEqual((lines["connections"], lines["tunnels"], lines["last good"]), ("1", "0", "no"))
        self.assertEqual(lines["not ready"], "none")
        self.assertIn(f"rooms (forward) 127.0.0.1:{self.forward}", lines["listening"])
        self.assertEqual(lines["transports"], "engine")
        await self.stop()
        code, _, err = await self.command("status")
        self.assertEqual((code, "not running" in err), (1, True))


class TokenTests(ServiceCase):
    """An admin listener with a token."""

    def yaml(self, policy, reach=None):
        (self.folder / "admin.token").write_text("quite-secret\n")
        (self.folder / "admin.token").chmod(0o600)
        plain = f'admin: "127.0.0.1:{self.admin}"'
        return super().yaml(policy, reach).replace(plain, plain + ", token: admin.token")

    async def test_token(self):
        """Who shows it is served, others are not."""
        self.assertEqual((await self.ask_admin("/metrics")).status, 401)
        lines = ["Authorization: Bearer quite-secret"]
        answer = await self.thread(ask, self.admin, "/metrics", host="localhost", lines=lines)
        self.assertEqual(answer.status, 200)
