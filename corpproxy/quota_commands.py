"""The commands about quotas that the running service takes over its control socket."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from corpproxy.accounting.common import NODE_TERM_SECONDS, Ledgered, OnLoan
from corpproxy.accounting.quotas import Quotas
from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.backends.store.interface import StoreError
from corpproxy.config.nearest import nearest
from corpproxy.grant_commands import COMMAND, MAX_WHY_CHARACTERS
from corpproxy.identity.requests import AccessRequest
from corpproxy.net.control import Caller, Command, ControlError
from corpproxy.policy.limits import Limit
from corpproxy.policy.quota import Member, Quota, Standing

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService


# How many members of each quota come in one answer: encoding them takes some milliseconds of the loop.
MAX_MEMBERS = 1_000

# A member of a quota, and how it stands.
_Stands = tuple[str, Standing]


def quota_commands(service: CorpproxyService) -> Mapping[str, Command]:
    """Give each command by its name."""
    desk = QuotaDesk(service)
    return {"quotas": desk.show, "quota-grant": desk.grant, "quota-reset": desk.reset}


class QuotaDesk:
    """Does what administrators on the machine ask for, and records who asked."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service

    def show(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """
        List the quotas, and how everybody stands who used anything, on all nodes.

        Of each quota those who used most come, at most ``most`` of them.  With ``after`` they come by name,
        behind that one or from the first: so everybody can be had in answers of a size that holds nobody up.
        """
        return Deferred.fromCoroutine(self._show(arguments))

    async def _show(self, arguments: dict[str, Any]) -> dict[str, Any]:
        service = self._service
        limiting = service.proxy.in_force.limiting
        limits = [one for one in limiting.limits if one.quota is not None] if limiting is not None else []
        whom, name, page = arguments.get("whom"), arguments.get("name"), _page(arguments)
        keeper, away = service.quota_keeper, ""
        try:
            ledgered = await keeper.ledgered(name, whom)
        except StoreError as error:
            ledgered, away = Ledgered(), error.message
        standings = await keeper.standings(ledgered)
        loans, by_limit = _by_member(ledgered.loans), _by_limit(standings, whom)
        quotas = []
        for limit in limits:
            if limit.quota is not None and name in (None, limit.name):
                all_of_it = by_limit.get(limit.name, [])
                members = _members(keeper.quotas, limit.name, page.of(all_of_it), loans)
                quotas.append(_shown(limit, limit.quota, members, len(all_of_it)))
        return {"away": away, "quotas": quotas}

    def grant(self, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give a member more, until it is made good again."""
        why = str(arguments.get("why") or "").strip()[:MAX_WHY_CHARACTERS]
        if not why:
            raise ControlError("bad-quota", "say why: the reason stands in the record")
        return self._grant(arguments, why, caller)

    def grant_asked(
        self, request: AccessRequest, caller: Caller, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Give a member more who asked for it."""
        asked = {**arguments, "name": request.limit, "whom": request.member}
        return self._grant(asked, request.reason, caller, request.id)

    def _grant(
        self, arguments: Mapping[str, Any], why: str, caller: Caller, request: str = ""
    ) -> dict[str, Any]:
        limit, quota = self._limit(arguments)
        whom, more = self._whom(arguments), _more(arguments, quota)
        standing = self._service.quota_keeper.grant(limit.name, whom, more)
        if standing is None:
            raise ControlError("bad-quota", f"nothing is counted for '{limit.name}' now")
        said = f"{quota.amount(more)}: {why}"
        self._record(DeedName.QUOTA_GRANTED, limit, whom, said, caller, request)
        lent = self._service.quota_keeper.quotas.lent(limit.name, whom)
        return {"standing": _told(whom, standing, lent), "more": more}

    def reset(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Begin anew for a member, or for all of a limit."""
        return Deferred.fromCoroutine(self._reset(caller, arguments))

    async def _reset(self, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
        limit, _ = self._limit(arguments)
        whom = None if arguments.get("all") else self._whom(arguments)
        why = str(arguments.get("why") or "").strip()[:MAX_WHY_CHARACTERS]
        if not why:
            raise ControlError("bad-quota", "say why: the reason stands in the record")
        try:
            count = await self._service.quota_keeper.reset(limit.name, whom)
        except StoreError as error:
            said = "it cannot be told what was used; try again, or give more with 'corpproxy quota grant'"
            raise ControlError(error.code, f"{error.message}: {said}") from error
        if not count and whom is not None:
            standings = self._service.quota_keeper.quotas.all(self._service.now())
            near = nearest(whom, [member for name, member in standings if name == limit.name])
            hint = f"; nearest is '{near}'" if near else ""
            raise ControlError("bad-quota", f"'{whom}' has used nothing of '{limit.name}'{hint}")
        self._record(DeedName.QUOTA_RESET, limit, whom or "", why, caller)
        return {"count": count}

    def _limit(self, arguments: Mapping[str, Any]) -> tuple[Limit, Quota]:
        limiting = self._service.proxy.in_force.limiting
        quotas = {one.name: one for one in (limiting.limits if limiting else ()) if one.quota is not None}
        name = str(arguments.get("name") or "")
        limit = quotas.get(name)
        if limit is None or limit.quota is None:
            near = nearest(name, quotas)
            hint = f"; nearest is '{near}'" if near else "; 'corpproxy quota show' lists them"
            raise ControlError("no-such-quota", f"there is no quota '{name}'{hint}")
        return limit, limit.quota

    def _whom(self, arguments: Mapping[str, Any]) -> str:
        whom = arguments.get("whom")
        if not isinstance(whom, str):
            raise ControlError("bad-quota", "say for whom: --of NAME, as 'corpproxy quota show' lists them")
        return whom

    def _record(
        self,
        name: DeedName,
        limit: Limit,
        whom: str,
        why: str,
        caller: Caller,
        request: str = "",
    ) -> None:
        service = self._service
        deed = Deed(
            name,
            service.now(),
            caller.name,
            whom,
            (),
            limit.name,
            why=why,
            request=request,
            source=COMMAND,
        )
        service.books.deed(deed, service.configuration.version)


@dataclass(frozen=True, slots=True)
class _Page:
    """Which members come: at most so many, those who used most, or by name those behind one."""

    most: int
    after: str | None

    def of(self, members: list[_Stands]) -> list[_Stands]:
        """These members of all."""
        if self.after is None:
            return nsmallest(self.most, members, key=lambda one: (-one[1].used, one[0]))
        behind = (one for one in members if one[0] > self.after or not self.after)
        return nsmallest(self.most, behind, key=lambda one: one[0])


def _page(arguments: Mapping[str, Any]) -> _Page:
    most, after = arguments.get("most"), arguments.get("after")
    if most is not None and (not isinstance(most, int) or not 0 < most <= MAX_MEMBERS):
        raise ControlError("bad-quota", f"an answer has 1 to {MAX_MEMBERS:,} members of each quota")
    return _Page(most or MAX_MEMBERS, after if isinstance(after, str) else None)


def _by_limit(standings: Mapping[Member, Standing], whom: object) -> dict[str, list[_Stands]]:
    found: dict[str, list[_Stands]] = {}
    for (limit, member), standing in standings.items():
        if whom in (None, member):
            found.setdefault(limit, []).append((member, standing))
    return found


def _shown(limit: Limit, quota: Quota, members: list[dict[str, Any]], count: int) -> dict[str, Any]:
    return {
        "name": limit.name,
        "per": limit.per.value,
        "volume": quota.volume,
        "minutes": quota.minutes,
        "says": quota.in_words,
        "place": str(limit.place),
        "count": count,
        "members": members,
    }


def _members(
    quotas: Quotas,
    limit: str,
    members: list[_Stands],
    loans: Mapping[Member, list[OnLoan]],
) -> list[dict[str, Any]]:
    return [
        _told(member, standing, quotas.lent(limit, member), loans.get((limit, member), ()))
        for member, standing in members
    ]


def _by_member(loans: Iterable[OnLoan]) -> dict[Member, list[OnLoan]]:
    found: dict[Member, list[OnLoan]] = {}
    for one in loans:
        found.setdefault((one.limit, one.whom), []).append(one)
    return found


def _told(whom: str, standing: Standing, lent: int, loans: Iterable[OnLoan] = ()) -> dict[str, Any]:
    return {
        "whom": whom,
        "used": standing.used,
        "lent": lent,
        "allowed": standing.allowed,
        "until": standing.until,
        "nodes": [
            {
                "node": one.node,
                "host": one.host,
                "octets": one.octets,
                "silent_seconds": one.silent,
                "is_here": one.is_here,
                "may_use": one.silent < NODE_TERM_SECONDS,
            }
            for one in sorted(loans)
            if one.until == standing.until
        ],
    }


def _more(arguments: Mapping[str, Any], quota: Quota) -> float:
    key, other = ("volume", "minutes") if quota.volume else ("minutes", "volume")
    more = arguments.get(key)
    if arguments.get(other):
        raise ControlError("bad-quota", f"this quota counts {key}, not {other}")
    if not isinstance(more, int | float) or not math.isfinite(more) or not 0 < more <= 1 << 50:
        raise ControlError("bad-quota", f"say how much: --{key}")
    return float(more)
