"""
Erasing while the service runs: one erasure after the other, in all places that can be reached.

What was asked for is noted before anything is changed and forgotten when all is done, so that an erasure that
was cut short by a crash goes on at the next start.  Who asked, why and how much it was is recorded; what was
erased never is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.audit.erasure import Erasure, Reached
from corpproxy.audit.pseudonyms import DEVICE
from corpproxy.backends.erasing.child import EraseChild
from corpproxy.backends.erasing.job import RECORDS, Done, EraseJob
from corpproxy.backends.erasing.journal import Asked, Journal
from corpproxy.backends.erasing.places import (
    PSEUDONYMS_FOLDER,
    concerned_evidence,
    erase_evidence,
    places_out_of_reach,
)
from corpproxy.errors import CorpproxyError
from corpproxy.limit_keeper import LIMITS_FILE

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

COMMAND = "command"
PSEUDONYMS = PSEUDONYMS_FOLDER
_SEALED = (
    "tables of pseudonyms are sealed: of periods that are over, records are found with the keys of two "
    "keepers (--key, twice), which take the entries out as well; else they go with their age"
)


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

    def count(self, erasure: Erasure, pseudonyms: tuple[str, ...] = ()) -> Deferred[list[Reached]]:
        """Say what an erasure would reach, and change nothing."""
        return Deferred.fromCoroutine(self._count(erasure, pseudonyms))

    def erase(
        self,
        erasure: Erasure,
        by: str,
        why: str,
        pseudonyms: tuple[str, ...] = (),
        sealed: tuple[str, ...] = (),
    ) -> Deferred[list[Reached]]:
        """
        Erase for good; the Deferred fires with what was reached.

        What fails is tried again at the next start, and when the same is asked for once more.
        """
        now = self._service.now()
        id = self._service.proxy.references.next(now)
        asked = Asked(id, by, now, why, erasure, pseudonyms=pseudonyms, sealed=sealed)
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

        await self._service.forget(asked.erasure)
        await self._service.settle()
        # What one worker was just telling the others of has come to all by now.
        await self._service.forget(asked.erasure)
        reached = await self._erase(asked.erasure, asked.pseudonyms, done)
        if asked.sealed:
            reached.append(Reached(PSEUDONYMS, self._drop_lines(asked.sealed)))
        reached = [replace(one, count=already) if one.place == RECORDS else one for one in reached]
        self._record(asked, reached)
        self._journal.done(asked)
        return reached

    async def _count(self, erasure: Erasure, pseudonyms: tuple[str, ...]) -> list[Reached]:
        service = self._service
        counting = msgspec.structs.replace(self._wanted(erasure, pseudonyms), counts_only=True)
        reached = await self.job(counting, lambda _: None)
        reached += await service.store.concerned(erasure)
        reached.append(concerned_evidence(service.state, erasure))
        return reached + self._out_of_reach(erasure, pseudonyms)

    async def _erase(
        self, erasure: Erasure, pseudonyms: tuple[str, ...], done: Callable[[Done], None]
    ) -> list[Reached]:
        service = self._service
        reached = await self.job(self._wanted(erasure, pseudonyms), done)
        reached += await service.store.erase(erasure)
        reached.append(erase_evidence(service.state, erasure))
        return reached + self._out_of_reach(erasure, pseudonyms)

    def _wanted(self, erasure: Erasure, pseudonyms: tuple[str, ...]) -> EraseJob:
        """What is to be done in files."""
        erasures = (erasure, *self._by_pseudonym(erasure, pseudonyms))
        return EraseJob(str(self._service.state), erasures, sinks=self._service.configuration.audit.to)

    def _out_of_reach(self, erasure: Erasure, pseudonyms: tuple[str, ...]) -> list[Reached]:
        reached = list(places_out_of_reach(self._service.state, erasure, _files(self._service)))
        if (erasure.user or erasure.client) and not pseudonyms and self._tables.is_dir():
            reached.append(Reached(PSEUDONYMS, 0, is_reached=False, said=_SEALED))
        return reached

    @property
    def _tables(self) -> Path:
        return self._service.state / PSEUDONYMS_FOLDER

    def _by_pseudonym(self, erasure: Erasure, told: tuple[str, ...]) -> Iterator[Erasure]:
        """The same for the pseudonyms of the person or device: those of now, and those that were told."""
        if not self._tables.is_dir() or not (erasure.user or erasure.client):
            return
        from corpproxy.backends.records.pseudonym_files import pseudonyms_now

        for one in dict.fromkeys((*pseudonyms_now(self._tables, erasure.user, erasure.client), *told)):
            who = {"client": one} if one.startswith(DEVICE) else {"user": one}
            yield replace(erasure, **({"user": "", "client": ""} | who))

    def _drop_lines(self, sealed: tuple[str, ...]) -> int:
        from corpproxy.backends.records.pseudonym_files import drop_lines

        return drop_lines(self._tables, frozenset(sealed))

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
    yield service.state / LIMITS_FILE
    if identity.groups_file is not None:
        yield identity.groups_file
