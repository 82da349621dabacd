"""What administrators are told of quotas that several nodes have, and what they may do to them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.common import NODE_TERM_SECONDS, Common, Ledgered, OnLoan
from corpproxy.accounting.quotas import Quotas
from corpproxy.backends.store.interface import StoreError
from corpproxy.net.control import ControlError
from corpproxy.policy.limits import Limit, Limits
from corpproxy.policy.quota import Every, Quota, Standing
from corpproxy.quota_commands import MAX_MEMBERS, QuotaDesk

MIB = 1 << 20
UNTIL = 1795435200.0
LIMITS = Limits([Limit("day", quota=Quota(volume=100 * MIB, every=Every.DAY))])


class Keeper:
    """Two nodes, of which this one knows little."""

    def __init__(self) -> None:
        self.quotas = Quotas()
        self.is_away = False
        loans = [
            OnLoan("day", "amir", UNTIL, "b", "two.example", 9 * MIB, NODE_TERM_SECONDS, is_here=False),
            OnLoan("day", "amir", UNTIL, "a", "one.example", 5 * MIB, 3.0, is_here=True),
            OnLoan("day", "amir", UNTIL - 86400, "a", "one.example", 7 * MIB, 3.0, is_here=True),
        ]
        self.known = Ledgered([Common("day", "amir", UNTIL, 50.0 * MIB, 0.0)], loans)

    def ledgered(self, limit: str | None, whom: str | None) -> Deferred[Ledgered]:
        if self.is_away:
            return fail(StoreError("store-away", "the database does not answer"))
        return succeed(self.known)

    async def standings(self, ledgered: Ledgered) -> dict[tuple[str, str], Standing]:
        return {(row.limit, row.whom): Standing(row.elsewhere, 100 * MIB, UNTIL) for row in ledgered.members}

    async def reset(self, limit: str, whom: str | None) -> int:
        return len((await self.ledgered(limit, whom)).members)


class DeskTests(SynchronousTestCase):
    """A quota of 100 MiB."""

    def setUp(self) -> None:
        self.keeper = Keeper()
        proxy = SimpleNamespace(in_force=SimpleNamespace(limiting=LIMITS))
        service: Any = SimpleNamespace(proxy=proxy, quota_keeper=self.keeper, now=lambda: UNTIL - 3600)
        service.configuration = SimpleNamespace(version="v")
        self.deeds: list[Any] = []
        service.books = SimpleNamespace(deed=lambda deed, version: self.deeds.append(deed))
        self.desk = QuotaDesk(service)
        self.caller: Any = SimpleNamespace(name="root")

    def shown(self, **more: Any) -> dict[str, Any]:
        return self.successResultOf(self.desk.show(self.caller, more))

    def test_nodes(self) -> None:
        """Each node that holds some of a quota is named, with how much and whether it may use it."""
        ((quota,), away) = (self.shown()[name] for name in ("quotas", "away"))
        (member,) = quota["members"]
        self.assertEqual((member["whom"], member["used"], away), ("amir", 50 * MIB, ""))
        found = [(one["host"], one["octets"], one["is_here"], one["may_use"]) for one in member["nodes"]]
        self.assertEqual(
            found, [("one.example", 5 * MIB, True, True), ("two.example", 9 * MIB, False, False)]
        )

    def test_some(self) -> None:
        """Those who used most come first, with how many there are; by name, everybody comes page by page."""
        members = {"amir": 5.0, "beth": 9.0, "carol": 1.0, "": 3.0}

        async def standings(ledgered: Any) -> dict[Any, Any]:
            return {("day", whom): Standing(used * MIB, 10.0 * MIB, UNTIL) for whom, used in members.items()}

        self.keeper.standings = standings
        for asked, expected in (
            ({"most": 2}, ["beth", "amir"]),
            ({}, ["beth", "amir", "", "carol"]),
            ({"most": 3, "after": ""}, ["", "amir", "beth"]),
            ({"most": 3, "after": "beth"}, ["carol"]),
        ):
            (quota,) = self.shown(**asked)["quotas"]
            self.assertEqual([one["whom"] for one in quota["members"]], expected)
            self.assertEqual(quota["count"], 4)

    def test_too_many(self) -> None:
        """No answer is larger than what the service encodes without a pause that people notice."""
        for most in (0, MAX_MEMBERS + 1, "all"):
            self.failureResultOf(self.desk.show(self.caller, {"most": most}), ControlError)

    def test_away(self) -> None:
        """While the database is away what this node knows is shown, and said to be that."""
        self.keeper.is_away = True
        self.assertEqual(self.shown()["away"], "the database does not answer")

    def test_reset(self) -> None:
        """Who begins anew is counted, and stands in the record."""
        asked = {"name": "day", "all": True, "why": "the assembly was a film"}
        self.assertEqual(self.successResultOf(self.desk.reset(self.caller, asked)), {"count": 1})
        self.assertEqual([deed.rule for deed in self.deeds], ["day"])

    def test_reset_away(self) -> None:
        """Nobody begins anew while it cannot be told what was used; the answer says what to do."""
        self.keeper.is_away = True
        asked = {"name": "day", "all": True, "why": "the assembly was a film"}
        failure = self.failureResultOf(self.desk.reset(self.caller, asked), ControlError)
        self.assertIn("try again, or give more with 'corpproxy quota grant'", failure.getErrorMessage())
        self.assertEqual(self.deeds, [])
