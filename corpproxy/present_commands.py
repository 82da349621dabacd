"""The commands about what runs now that the running service takes over its control socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred

from corpproxy.accounting.present import Person, Present, Question
from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.grant_commands import COMMAND, MAX_WHY_CHARACTERS
from corpproxy.net.by_hand import Chosen, Ended
from corpproxy.net.control import Caller, Command, ControlError

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

# Hosts that the record of an ending names.
MOST_HOSTS = 20


def present_commands(service: CorpproxyService) -> Mapping[str, Command]:
    """Give each command by its name."""
    desk = PresentDesk(service)
    return {"present": desk.show, "present-end": desk.end}


class PresentDesk:
    """Shows administrators what runs, and ends what they want ended, with a record of who did."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service

    def show(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Tell what runs now: people, or exchanges."""
        try:
            question = msgspec.convert(arguments, Question)
        except msgspec.ValidationError as error:
            raise ControlError("bad-question", f"this cannot be shown: {error}") from error
        return self._service.look(question).addCallback(self._told)

    def end(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """End one exchange, or all of a person."""
        reference, who = (str(arguments.get(key) or "") for key in ("reference", "who"))
        if bool(reference) == bool(who):
            raise ControlError(
                "bad-end", "say which exchange (its reference), or whose (a person, an address)"
            )
        why = str(arguments.get("why") or "").strip()[:MAX_WHY_CHARACTERS]
        chosen = Chosen(caller.name, why, reference, who)
        return self._service.end_by_hand(chosen).addCallback(self._ended, chosen)

    def _told(self, present: Present) -> dict[str, Any]:
        quotas = self._quotas(present.people)
        told: dict[str, Any] = msgspec.to_builtins(present)
        for person in told["people"]:
            person["quota"] = quotas.get(person["who"])
        return {"now": self._service.now(), **told}

    def _ended(self, ended: Ended, chosen: Chosen) -> dict[str, Any]:
        if not ended.count:
            what = f"exchange {chosen.reference}" if chosen.reference else f"nothing of '{chosen.who}'"
            runs = "does not run" if chosen.reference else "runs"
            raise ControlError("not-running", f"{what} {runs} (any more)")
        service = self._service
        deed = Deed(
            DeedName.RUNNING_ENDED,
            service.now(),
            chosen.by,
            ended.whom,
            ended.hosts[:MOST_HOSTS],
            why=chosen.why,
            source=COMMAND,
            count=ended.count,
        )
        service.books.deed(deed, service.configuration.version)
        return {"count": ended.count, "whom": ended.whom, "hosts": list(ended.hosts)}

    def _quotas(self, people: Sequence[Person]) -> dict[str, dict[str, Any]]:
        """How people stand with the quota of theirs of which least is left."""
        service, found = self._service, {}
        limiting, now = service.proxy.in_force.limiting, service.now()
        limits = [one for one in limiting.limits if one.quota is not None] if limiting is not None else []
        standings = service.quota_keeper.quotas.all(now) if limits and people else {}
        for person in people:
            stands = [
                (standing.used / standing.allowed if standing.allowed else 1.0, limit.name, standing.until)
                for limit in limits
                for whom in (person.who, *person.addresses)
                if (standing := standings.get((limit.name, whom))) is not None
            ]
            if stands:
                share, name, until = max(stands)
                found[person.who] = {"limit": name, "share": round(share, 3), "until": until}
        return found
