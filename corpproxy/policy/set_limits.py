"""
Limits that administrators set while the service runs: another rate for one of the policy, or one more.

They hold at once, until they are cleared or their time is over, over reloads and restarts.  What is to
stay belongs into ``limits:`` of the policy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from corpproxy.errors import NOWHERE
from corpproxy.identity.grants import ADDRESS, GROUP, NETWORK
from corpproxy.policy.conditions import Who
from corpproxy.policy.limits import Limit, Per
from corpproxy.policy.networks import Networks

# More than these are a policy.
MAX_SET = 100

EVERYBODY = "everybody"
OF_POLICY = ""


@dataclass(frozen=True, slots=True)
class SetLimit:
    """
    One of them.

    ``whom`` is a user's name, or what stands behind `ADDRESS`, `GROUP` or `NETWORK`, or `EVERYBODY`; it is
    `OF_POLICY` where a limit of the policy of the same ``name`` has other rates.  ``per`` says whose octets
    are counted together.  ``until`` and ``at`` are POSIX seconds, 0 for no end.
    """

    name: str
    whom: str
    per: Per
    download: int
    upload: int
    by: str
    why: str
    at: float
    until: float = 0.0

    def holds(self, now: float) -> bool:
        """Whether its time is not over."""
        return not self.until or now < self.until


class SetLimits:
    """Those that are set now."""

    def __init__(self) -> None:
        self.entries: tuple[SetLimit, ...] = ()

    def next_end(self) -> float:
        """When the next of them ends."""
        return min((one.until for one in self.entries if one.until), default=math.inf)

    def among(self, limits: Sequence[Limit], networks: Networks) -> tuple[Limit, ...]:
        """The limits of a policy together with these, but for one whose network the policy has no more."""
        changed = {one.name: one for one in self.entries if one.whom == OF_POLICY}
        own = [_changed(limit, changed.get(limit.name)) for limit in limits]
        taken = {limit.name for limit in own}
        more = [one for one in self.entries if one.whom != OF_POLICY and one.name not in taken]
        return (*own, *(_limit(one) for one in more if _is_known(one.whom, networks)))


def _changed(limit: Limit, entry: SetLimit | None) -> Limit:
    return limit if entry is None else replace(limit, download=entry.download, upload=entry.upload)


def _is_known(whom: str, networks: Networks) -> bool:
    return not whom.startswith(NETWORK) or whom.removeprefix(NETWORK) in networks


def _limit(entry: SetLimit) -> Limit:
    return Limit(
        name=entry.name,
        who=_who(entry.whom),
        per=entry.per,
        download=entry.download,
        upload=entry.upload,
        place=NOWHERE,
    )


def _who(whom: str) -> Who:
    if whom == EVERYBODY:
        return Who()
    if whom.startswith(GROUP):
        return Who(group=(whom.removeprefix(GROUP),))
    if whom.startswith(NETWORK):
        return Who(network=(whom.removeprefix(NETWORK),))
    if whom.startswith(ADDRESS):
        return Who(network=(whom.removeprefix(ADDRESS),))
    return Who(user=(whom,))


def without(entries: Iterable[SetLimit], name: str) -> tuple[SetLimit, ...]:
    """All but the one of this name."""
    return tuple(one for one in entries if one.name != name)
