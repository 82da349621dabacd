"""The commands about what runs now that the running service takes over its control socket."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from corpproxy.accounting.present import Person, Present, Question, QuotaUse, Sort, ordered
from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.grant_commands import COMMAND, MAX_WHY_CHARACTERS
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.net.by_hand import Chosen, Ended
from corpproxy.net.control import Caller, Command, ControlError
from corpproxy.policy.limits import Limits, Per

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
        return Deferred.fromCoroutine(self._show(question))

    def end(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """End one exchange, or all of a person."""
        reference, who = (str(arguments.get(key) or "") for key in ("reference", "who"))
        if bool(reference) == bool(who):
            raise ControlError(
                "bad-end", "say which exchange (its reference), or whose (a person, an address)"
            )
        why = str(arguments.get("why") or "").strip()[:MAX_WHY_CHARACTERS]
        if not why:
            raise ControlError("bad-end", "say why: the reason stands in the record")
        chosen = Chosen(caller.name, why, reference, who)
        return self._service.end_by_hand(chosen).addCallback(self._ended, chosen)

    async def _show(self, question: Question) -> dict[str, Any]:
        take = self._service.proxy.watching.slices.take
        present = await self._service.look(question)
        if question.sort is Sort.QUOTA:
            present = await take(self._with_quotas(present))
            present = await take(ordered(present, question))
        else:
            present = await take(ordered(present, question))
            present = await take(self._with_quotas(present))
        told: dict[str, Any] = msgspec.to_builtins(present)
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
        return {"count": ended.count, "whom": ended.shown, "hosts": list(ended.hosts)}

    def _with_quotas(self, present: Present) -> Generator[None, None, Present]:
        """Add to people how they stand with the quota of theirs of which least is left; in steps."""
        limiting = self._service.proxy.in_force.limiting
        if limiting is not None and not any(one.quota is not None for one in limiting.limits):
            limiting = None
        people = []
        for person in present.people:
            quota = None if limiting is None else self._quota(person, limiting)
            people.append(replace(person, quota=quota, categories=()))
            yield
        return replace(present, people=tuple(people))

    def _quota(self, person: Person, limiting: Limits) -> QuotaUse | None:
        quotas, now = self._service.quota_keeper.quotas, self._service.now()
        held = {
            (limit.name, whom)
            for limit in limiting.limits
            if limit.quota is not None
            for whom in _counted_as(person, limit.per)
        }
        held |= _shared(person, limiting, self._identity(person), now)
        stands = [
            (standing.used / standing.allowed if standing.allowed else 1.0, limit, standing.until)
            for limit, whom in held
            if (standing := quotas.standing(limit, whom, now)) is not None
        ]
        if not stands:
            return None
        share, name, until = max(stands)
        return QuotaUse(name, round(share, 3), until)

    def _identity(self, person: Person) -> Identity:
        """Who that is; the groups that are known of the name, where nothing runs that tells them."""
        if not person.named:
            return ANONYMOUS
        known = self._service.proxy.in_force.people.identity(person.who)
        return Identity(person.who, person.groups or (known.groups if known is not None else ()))


def _counted_as(person: Person, per: Per) -> tuple[str, ...]:
    """Under which names of its own a quota counts what a person uses, whatever is known of them just now."""
    if per is Per.USER:
        # Whoever has no name is counted by address.
        return (person.who,)
    if per is Per.DEVICE:
        return person.addresses if person.named else (person.who,)
    return person.groups if per is Per.GROUP else ()


def _shared(person: Person, limiting: Limits, identity: Identity, now: float) -> set[tuple[str, str]]:
    """The quotas that a person has together with a room, with everybody, or for what runs."""
    addresses = person.addresses if person.named else (person.who,)
    return {
        (one.limit.name, one.whom)
        for address in addresses or ("",)
        for one in limiting.of(identity, address, "", now, person.categories)
        if one.limit.quota is not None
    }
