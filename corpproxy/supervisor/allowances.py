"""What a worker tells people of what they used: the supervisor knows it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from corpproxy.allowances import LastDays
from corpproxy.supervisor.wire import GrantQuota, Link, ReadDays


class DistantAllowances:
    """Asks the supervisor."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def days(self, user: str) -> Deferred[LastDays]:
        """Fire with what a person moved in the last days; with None where that cannot be read."""
        return self._link.ask(ReadDays, user).addCallbacks(_value, _gone)

    def grant(self, limit: str, whom: str, more: float) -> Deferred[bool]:
        """Give a member of a quota more until it is made good again; fires with whether there is one."""
        return self._link.ask(GrantQuota, (limit, whom, more)).addCallbacks(_value, _gone)


def _value(answer: dict[str, Any]) -> Any:
    return answer["value"]


def _gone(failure: Failure) -> None:
    """Without a supervisor this worker ends."""
    failure.trap(ConnectionDone, ConnectionLost)  # type: ignore[no-untyped-call]
