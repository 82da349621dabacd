"""The part of the service that has to do with limits: what is set, what is used, and who waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from corpproxy.allowances import Allowances
from corpproxy.assembly import Lasting, with_limits
from corpproxy.limit_keeper import LimitKeeper
from corpproxy.policy.quota import Member, Standing
from corpproxy.policy.set_limits import SetLimit
from corpproxy.quota_keeper import QuotaKeeper

if TYPE_CHECKING:
    from corpproxy.config.configuration import Configuration
    from corpproxy.net.proxy import Proxy


class Holding:
    """Holds people to limits; a supervisor tells its workers, and a worker is told."""

    proxy: Proxy
    lasting: Lasting
    configuration: Configuration
    quota_keeper: Any

    def _make_limit_keeper(self) -> Any:
        return LimitKeeper(self)  # type: ignore[arg-type]

    def _make_quota_keeper(self) -> Any:
        return QuotaKeeper(self)  # type: ignore[arg-type]

    def _make_allowances(self) -> Any:
        return Allowances(self)  # type: ignore[arg-type]

    def take_limits(self, entries: tuple[SetLimit, ...]) -> None:
        """Put the limits that are set into force."""
        self.lasting.set_limits.entries = entries
        self.proxy.in_force = with_limits(self.proxy.in_force, self.configuration, self.lasting)
        self.quota_keeper.define()

    def take_standings(self, standings: Mapping[Member, Standing]) -> None:
        """Some members of quotas stand otherwise."""
        self.lasting.standings.take(standings)

    def waiting_for_limits(self) -> Mapping[str, tuple[str, ...]]:
        """The people who wait now, by the names of the limits that they wait for."""
        return self.proxy.pacer.waiting()
