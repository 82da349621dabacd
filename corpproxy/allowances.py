"""What people are told of what they used, and given of what they asked for, on their own page."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from corpproxy.accounting.last_days import DayUse, last_days, question_of
from corpproxy.backends.store.interface import StoreError
from corpproxy.policy.days import Days

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

# A page that is loaded again and again asks the store once in so long; what is read then is remembered of so
# many people.
REMEMBERED_SECONDS = 5.0
MOST_REMEMBERED = 1_000

LastDays = tuple[DayUse, ...] | None


class Allowances:
    """The last days of people, and quotas, of a service that has the store."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self._remembered: OrderedDict[str, tuple[float, LastDays]] = OrderedDict()

    def days(self, user: str) -> Deferred[LastDays]:
        """Fire with what a person moved in the last days; with None where that cannot be read."""
        return Deferred.fromCoroutine(self._days(user))

    def grant(self, limit: str, whom: str, more: float) -> Deferred[bool]:
        """Give a member of a quota more until it is made good again; fires with whether there is one."""
        given: Deferred[bool] = Deferred()
        given.callback(self._service.quota_keeper.grant(limit, whom, more) is not None)
        return given

    async def _days(self, user: str) -> LastDays:
        seconds, now = self._service.reactor.seconds(), self._service.now()
        at, known = self._remembered.get(user, (0.0, None))
        if known is not None and seconds - at < REMEMBERED_SECONDS:
            return known
        policy = self._service.configuration
        days = Days(policy.time_zone, policy.day_begins)
        try:
            answer = await self._service.store.usage(question_of(user, now, days))
        except StoreError:
            return None
        found = last_days(answer, now, days)
        self._remembered[user] = seconds, found
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return found
