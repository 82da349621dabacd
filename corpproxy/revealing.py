"""
Revealing: whom two keepers made known behind a pseudonym, why and until when.

The keepers' keys never come here: the command opens the table itself, and tells the service what it is about
to show.  The record has that first, with the pseudonym and never with the name.  Until its end the name is
held in memory, so that it can be looked up again without the keys, which is recorded each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.erase_commands import MAX_WHY_CHARACTERS
from corpproxy.net.control import Caller, Command, ControlError

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

MAX_SECONDS = 31 * 86400.0


@dataclass(frozen=True, slots=True)
class Revealed:
    """One person who is known until an end, POSIX seconds; ``keepers`` are the two who made it so."""

    pseudonym: str
    name: str
    until: float
    by: str
    why: str
    keepers: tuple[str, ...]


class Revealing:
    """Who is revealed now, and the commands about it."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self._open: dict[str, Revealed] = {}
        self._ends: dict[str, Any] = {}

    @property
    def commands(self) -> Mapping[str, Command]:
        """Each command by its name."""
        return {"reveal": self.reveal, "revealed": self.revealed}

    def stop(self) -> None:
        """Whoever is revealed is so no longer: what is known is in memory alone."""
        for pseudonym in list(self._open):
            self._end(pseudonym, "the service ends")

    def reveal(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Record that somebody is revealed; answered when the record has it."""
        service, now = self._service, self._service.now()
        until = float(arguments.get("until") or 0.0)
        if not now < until <= now + MAX_SECONDS:
            raise ControlError("bad-reveal", "it must have an end, within 31 days from now")
        keepers = tuple(sorted({str(one) for one in arguments.get("keepers", ())}))
        if len(keepers) < 2:
            raise ControlError("bad-reveal", "it takes two keepers")
        why = str(arguments.get("why") or "").strip()[:MAX_WHY_CHARACTERS]
        name = str(arguments.get("name", ""))
        if not why or (name and name.casefold() in why.casefold()):
            raise ControlError("bad-reveal", "say why, without the name: the reason stands in the record")
        found = Revealed(str(arguments.get("pseudonym", "")), name, until, caller.name, why, keepers)
        self._record(DeedName.REVEALED, found, found.by, why)
        self._hold(found, now)
        return service.settle().addCallback(lambda _: {})

    def revealed(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Give who is revealed now: one, which is recorded, or all without their names."""
        wanted = str(arguments.get("pseudonym") or "")
        if wanted:
            found = self._open.get(wanted)
            if found is None:
                raise ControlError("not-revealed", f"{wanted} is not revealed; two keepers can do it")
            self._record(DeedName.REVEALED, found, caller.name, "looked up again")
            told = {"name": found.name, "until": found.until}
            return self._service.settle().addCallback(lambda _: told)
        listed = [
            {"pseudonym": one.pseudonym, "until": one.until, "by": one.by, "why": one.why}
            for one in self._open.values()
        ]
        return Deferred.fromCoroutine(_at_once({"revealed": listed}))

    def _hold(self, found: Revealed, now: float) -> None:
        before = self._ends.pop(found.pseudonym, None)
        if before is not None:
            before.cancel()
        self._open[found.pseudonym] = found
        later = self._service.reactor.callLater
        self._ends[found.pseudonym] = later(found.until - now, self._end, found.pseudonym, "its time is over")

    def _end(self, pseudonym: str, why: str) -> None:
        found, timer = self._open.pop(pseudonym), self._ends.pop(pseudonym)
        if timer.active():
            timer.cancel()
        self._record(DeedName.REVEAL_ENDED, found, "corpproxy", why)

    def _record(self, name: DeedName, found: Revealed, by: str, why: str) -> None:
        service = self._service
        deed = Deed(
            name,
            service.now(),
            by,
            found.pseudonym,
            (),
            until=found.until if name is DeedName.REVEALED else 0.0,
            why=f"{why} (keys of {' and '.join(found.keepers)})",
            request=service.proxy.references.next(service.now()),
            source="command",
        )
        service.books.deed(deed, service.configuration.version)


async def _at_once(told: dict[str, Any]) -> dict[str, Any]:
    return told
