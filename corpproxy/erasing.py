"""
Erasing while the service runs: one erasure after the other, in all places that can be reached.

What was asked for is noted before anything is changed and forgotten when all is done, so that an erasure that
was cut short by a crash goes on at the next start.  Who asked, why and how much it was is recorded; what was
erased never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.audit.erasure import Erasure, Reached
from corpproxy.backends.erase_child import EraseChild
from corpproxy.backends.erase_job import RECORDS, Done, EraseJob
from corpproxy.backends.erase_journal import Asked, Journal
from corpproxy.backends.erase_places import erase_evidence, places_out_of_reach
from corpproxy.errors import CorpproxyError

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

COMMAND = "command"


class ErasingEnded(CorpproxyError):
    """The service ends; what was not done goes on at the next start (``stopping``)."""


class Erasing:
    """Carries out erasures for a service, and goes on with those that were cut short."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self._journal = Journal(service.state)
        self._turn = DeferredLock()
        self._child: EraseChild | None = None
        self._is_over = False

    def start(self) -> None:
        """Go on with what a crash cut short."""
        for asked in self._journal.unfinished():
            log.warn("the erasure {id}, asked for by {by}, goes on", id=asked.id, by=asked.by)
            self._in_turn(asked).addErrback(self._not_done, asked.id)

    def stop(self) -> None:
        """Begin no more; what is under way goes on at the next start."""
        self._is_over = True
        if self._child is not None:
            self._child.kill()

    def count(self, erasure: Erasure) -> Deferred[list[Reached]]:
        """Say what an erasure would reach, and change nothing."""
        return Deferred.fromCoroutine(self._reach(erasure, counts_only=True))

    def erase(self, erasure: Erasure, by: str, why: str) -> Deferred[list[Reached]]:
        """
        Erase for good; the Deferred fires with what was reached.

        What fails is tried again at the next start, and when the same is asked for once more.
        """
        now = self._service.now()
        asked = Asked(self._service.proxy.references.next(now), by, now, why, erasure)
        self._journal.note(asked)
        return self._in_turn(asked)

    def job(self, job: EraseJob, done: Any = lambda one: None) -> Deferred[list[Reached]]:
        """Do a job in files, in a child process; only one at a time."""
        self._child = child = EraseChild(done)

        def over(outcome: Any) -> Any:
            self._child = None
            return outcome

        return child.start(self._service.reactor, job).addBoth(over)

    def in_turn(self, work: Any) -> Deferred[Any]:
        """Do something while nothing is erased."""
        return self._turn.run(work)

    def _in_turn(self, asked: Asked) -> Deferred[list[Reached]]:
        return self._turn.run(lambda: Deferred.fromCoroutine(self._do(asked)))

    async def _do(self, asked: Asked) -> list[Reached]:
        if self._is_over:
            raise ErasingEnded("stopping", "corpproxy stops; the erasure goes on when it starts again")
        already = sum(one.count for one in asked.reached if one.place == RECORDS)

        def done(segment: Done) -> None:
            # A crash from here on does not take away how many they were.
            nonlocal already
            already += segment.records
            if segment.records:
                self._journal.note(replace(asked, reached=(Reached(RECORDS, already),)))

        await self._service.settle()
        reached = await self._reach(asked.erasure, counts_only=False, done=done)
        reached = [replace(one, count=already) if one.place == RECORDS else one for one in reached]
        self._record(asked, reached)
        self._journal.done(asked)
        return reached

    async def _reach(
        self, erasure: Erasure, *, counts_only: bool, done: Any = lambda one: None
    ) -> list[Reached]:
        service = self._service
        reached = await self.job(EraseJob(str(service.state), (erasure,), counts_only), done)
        reached += await service.store.erase(erasure, counts_only=counts_only)
        reached.append(erase_evidence(service.state, erasure, counts_only=counts_only))
        return [*reached, *places_out_of_reach(service.state, erasure, _files(service))]

    def _record(self, asked: Asked, reached: Iterable[Reached]) -> None:
        reached = tuple(reached)
        deed = Deed(
            DeedName.ERASED,
            self._service.now(),
            asked.by,
            "",
            (),
            why=asked.why,
            request=asked.id,
            source=COMMAND,
            count=sum(one.count for one in reached if one.place == RECORDS),
            reached=tuple(one.text for one in reached),
        )
        self._service.books.deed(deed, self._service.configuration.version)

    def _not_done(self, failure: Failure, id: str) -> None:
        said = "the erasure {id} is not done: {reason}; it goes on at the next start"
        if failure.check(CorpproxyError, OSError):  # type: ignore[no-untyped-call]
            log.error(said, id=id, reason=failure.getErrorMessage())
        else:
            log.failure("the erasure {id} failed in a way that nobody expected", failure, id=id)


def _files(service: CorpproxyService) -> Iterator[Path]:
    """The files of the policy, and those that name people."""
    folder, identity = service.policy.parent, service.configuration.identity
    yield from (folder / name for name in service.texts)
    yield from (method.htpasswd for method in identity.methods)
    if identity.groups_file is not None:
        yield identity.groups_file
