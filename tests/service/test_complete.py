"""The record of a real exchange has every input of its decision, and all that happened."""

from __future__ import annotations

from corpproxy.audit.record import Record
from corpproxy.audit.results import FAULTS, Fault, Kind, ResultCode
from corpproxy.progress import Progress
from tests.service.case import PEOPLE, SIGN_IN, ServiceCase
from tests.service.client import Client

POLICY = (
    SIGN_IN
    + """
categories: {own: {news: [news.test]}}
rules:
  - {name: no bets, what: {domain: bets.test}, do: block}
  - {name: pupils read news, who: {group: pupils}, what: {category: news}, do: allow}
  - {name: everything else, do: allow}
"""
)
INPUTS = ("at", "client", "listener", "user", "groups", "groups_from", "source", "method", "scheme", "host")
INPUTS = (*INPUTS, "port", "path", "categories", "policy")
DECISION = ("decision", "rule", "place", "reason", "category", "list", "entry")
HAPPENED = (
    "id",
    "kind",
    "result",
    "status",
    "seconds",
    "received",
    "sent",
    "up_sent",
    "up_received",
    "upstream",
)
TIMINGS = ("resolve_ms", "connect_ms", "first_octet_ms")


class CompleteTests(ServiceCase):
    """One exchange of each kind."""

    policy = POLICY
    people = PEOPLE

    def lacking(self, record: Record, *names: str) -> list[str]:
        """Which of some fields say nothing; a timing of nought is one."""
        return [name for name in names if getattr(record, name) in ("", 0, 0.0, (), None)]

    async def test_forwarded(self) -> None:
        """A page that was fetched: who, where, when, by which rule, and how long each step took."""
        await self.get("news.test", "/page", user="amir")
        (record,) = await self.closed(1)
        self.assertEqual(self.lacking(record, *INPUTS, *DECISION, *HAPPENED), [])
        self.assertEqual([name for name in TIMINGS if getattr(record, name) is None], [])
        self.assertEqual(FAULTS[record.result], Fault.NOBODY)

    async def test_refused(self) -> None:
        """A refusal has the same inputs, and nothing of a server."""
        await self.get("bets.test", "/page", user="amir")
        (record,) = await self.closed(1)
        self.assertEqual(self.lacking(record, "at", "user", "groups", "host", "rule", "place", "reason"), [])
        self.assertEqual((record.up_sent, record.upstream), (0, ""))
        self.assertEqual(FAULTS[record.result], Fault.POLICY)

    async def test_failed(self) -> None:
        """A server that is out of reach: what failed, when, and whose doing it was."""
        self.origin.stop()
        await self.get("news.test", "/page", user="amir")
        (record,) = await self.closed(1)
        self.assertEqual((record.result, record.phase), (ResultCode.UPSTREAM_FAILED, "connect"))
        self.assertTrue(record.failure)
        self.assertEqual(FAULTS[record.result], Fault.SERVER)

    async def test_tunnel(self) -> None:
        """A tunnel has an opening, progress and a closing record of one id; its octets grow."""
        client = Client(self.forward, "amir", self.people["amir"])
        self.addCleanup(client.close)
        await self.thread(client.ask, "CONNECT", f"news.test:{self.origin.echo_port}")
        await self.thread(client.echoes, b"before")
        self.jump = 301.0
        Progress(self.service.proxy, self.service.books, self.now).look()
        await self.thread(client.echoes, b"after")
        client.close()
        await self.closed(1)
        records = self.records()
        self.assertEqual([one.kind for one in records], [Kind.OPENING, Kind.PROGRESS, Kind.CLOSING])
        self.assertEqual(len({one.id for one in records}), 1)
        octets = [one.up_sent for one in records]
        self.assertEqual(octets, sorted(set(octets)))
        closing = records[-1]
        self.assertEqual(self.lacking(closing, "upstream", "status", "sent", "rule", "user", "category"), [])
        self.assertEqual([name for name in TIMINGS[:2] if getattr(closing, name) is None], [])
