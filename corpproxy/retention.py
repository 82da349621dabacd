"""
Retention: once a day what is older than the policy keeps is erased, slowly, and that is recorded.

Fields go by the age of their record: paths, where somebody went, who it was.  Sums of usage go by the quarter
of an hour.  Files go when the last record in them is too old; a signed checkpoint then says so, by which what
is left still verifies.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.audit.erasure import Erasure, Reached
from corpproxy.audit.settings import Keeping
from corpproxy.backends.erasing.job import RECORDS, Done, EraseJob
from corpproxy.backends.erasing.places import PSEUDONYMS_FOLDER
from corpproxy.backends.records.segment_file import modified_at
from corpproxy.backends.records.segment_packing import closed
from corpproxy.backends.records.segments import RECORDS_FOLDER, SegmentName, segment_names
from corpproxy.backends.state_folder import put_file
from corpproxy.errors import CorpproxyError

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

DAY_SECONDS = 86_400.0
# How often it is looked whether a day has passed.
LOOK_SECONDS = 300.0
# After each file as long as that took, and half of it: it is a work of hours, and nobody should notice.
RESTS = 1.5

OURSELVES = "corpproxy"
KEPT_FILE = "retention.json"

# The keys of the policy, and the groups of a record that they are about.
GROUPS = {"url": "url", "host": "where", "user": "who"}
KEYS = {group: key for key, group in GROUPS.items()}


class Retained(msgspec.Struct, frozen=True):
    """
    What is known of retention: when it was done last, and which groups are gone from which file.

    Groups that are gone need not be looked for again.
    """

    last: float = 0.0
    done: dict[str, tuple[str, ...]] = {}


class Retention:
    """Carries out what ``audit: keep:`` says; ``erasing`` of the service does it in turn with others."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self._path = service.state / KEPT_FILE
        self._loop = LoopingCall(self.look)
        self._loop.clock = service.reactor
        self._is_busy = False

    def start(self) -> None:
        """Look from now on whether it is time."""
        self._loop.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Begin no more."""
        if self._loop.running:
            self._loop.stop()

    def look(self) -> None:
        """Do it when a day has passed since it was done last; a clock that was set back is no reason."""
        keep, now = self._service.configuration.audit.keep, self._service.now()
        last = self._read().last
        if keep != Keeping() and not self._is_busy and not 0 <= now - last < DAY_SECONDS:
            self.run().addErrback(_not_done)

    def run(self, by: str = OURSELVES) -> Deferred[list[Reached]]:
        """Do it now; fires with how much went in each place."""
        self._is_busy = True

        def over(outcome: object) -> object:
            self._is_busy = False
            return outcome

        running: Deferred[list[Reached]] = self._service.erasing.in_turn(
            lambda: Deferred.fromCoroutine(self._run(by))
        )
        return running.addBoth(over)

    def count(self) -> Deferred[list[Reached]]:
        """Say how much would go now, and change nothing."""
        return Deferred.fromCoroutine(self._count())

    async def _count(self) -> list[Reached]:
        keep, now = self._service.configuration.audit.keep, self._service.now()
        lost: Counter[str] = Counter()
        job = EraseJob(
            str(self._service.state),
            erasures(keep, now),
            counts_only=True,
            done=self._read().done,
            sinks=self._service.configuration.audit.to,
        )
        told = await self._service.erasing.job(job, lambda done: lost.update(done.lost))
        files = old_files(self._service.state, keep, now)
        elsewhere = [one for one in told if one.place != RECORDS]
        return [*_reached(lost), Reached("files", len(files)), *elsewhere]

    async def _run(self, by: str) -> list[Reached]:
        service = self._service
        keep, now = service.configuration.audit.keep, service.now()
        files = await self._retire(keep, now)
        await service.settle()
        lost, elsewhere = await self._erase(keep, now)
        usage = await self._grow_old(keep, now)
        self._write(msgspec.structs.replace(self._read(), last=now))
        tables = self._drop_tables(now - keep.user) if keep.user else 0
        reached = [
            *_reached(lost),
            Reached("usage", usage),
            Reached("files", files),
            Reached(PSEUDONYMS_FOLDER, tables),
            *elsewhere,
        ]
        if any(one.count for one in reached):
            self._record(by, keep, reached)
        return reached

    async def _grow_old(self, keep: Keeping, now: float) -> int:
        """Let the sums of usage grow old; how many went, or lost the host or the person."""
        store = self._service.store
        rows = await store.drop_usage_before(now - keep.account) if keep.account else 0
        for key in ("host", "user"):
            age = getattr(keep, key)
            rows += await store.grow_old(GROUPS[key], now - age) if age else 0
        return rows

    def _drop_tables(self, before: float) -> int:
        """Delete what says who stands behind the pseudonyms of periods that were over long ago."""
        folder = self._service.state / PSEUDONYMS_FOLDER
        if not folder.is_dir():
            return 0
        from corpproxy.backends.records.pseudonym_files import delete_old_tables

        return delete_old_tables(folder, before)

    async def _erase(self, keep: Keeping, now: float) -> tuple[Counter[str], list[Reached]]:
        """Erase in files; how many records lose each group, and what came of it in other places."""
        lost: Counter[str] = Counter()
        here = {name.canonical for name in segment_names(self._service.state / RECORDS_FOLDER)}
        known = {name: groups for name, groups in self._read().done.items() if name in here}

        def note(done: Done) -> None:
            lost.update(done.lost)
            if done.groups:
                known[done.segment] = tuple(sorted({*known.get(done.segment, ()), *done.groups}))
                self._write(msgspec.structs.replace(self._read(), done=known))

        wanted = erasures(keep, now)
        if wanted:
            sinks = self._service.configuration.audit.to
            job = EraseJob(str(self._service.state), wanted, done=dict(known), rests=RESTS, sinks=sinks)
            told = await self._service.erasing.job(job, note)
            return lost, [one for one in told if one.place != RECORDS]
        return lost, []

    async def _retire(self, keep: Keeping, now: float) -> int:
        going = old_files(self._service.state, keep, now)
        if going:
            await self._service.shelf.retire(going, f"as they are older than {_days(keep.record)}")
        return len(going)

    def _record(self, by: str, keep: Keeping, reached: list[Reached]) -> None:
        kept = ", ".join(f"{name} {_days(getattr(keep, name))}" for name in _asked(keep))
        deed = Deed(
            DeedName.RETAINED,
            self._service.now(),
            by,
            "",
            (),
            why=f"audit: keep: {kept}",
            request=self._service.proxy.references.next(self._service.now()),
            source="policy" if by == OURSELVES else "command",
            count=sum(one.count for one in reached if one.place in KEYS.values()),
            reached=tuple(one.text for one in reached if one.count or not one.is_reached),
        )
        self._service.books.deed(deed, self._service.configuration.version)

    def _read(self) -> Retained:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Retained)
        except (OSError, msgspec.MsgspecError):
            return Retained()

    def _write(self, retained: Retained) -> None:
        put_file(self._path, msgspec.json.encode(retained), 0o600)


def erasures(keep: Keeping, now: float) -> tuple[Erasure, ...]:
    """What has become too old, field by field."""
    ages = {group: getattr(keep, key) for key, group in GROUPS.items()}
    return tuple(Erasure(until=now - age, groups=(group,)) for group, age in ages.items() if age)


def old_files(state: Path, keep: Keeping, now: float) -> list[SegmentName]:
    """
    The closed files of which every record is too old, and every one before them of the same worker.

    :raises OSError: when the folder cannot be read.
    """
    if not keep.record:
        return []
    going: list[SegmentName] = []
    younger: set[int] = set()
    for name in closed(segment_names(state / RECORDS_FOLDER)):
        if name.worker in younger:
            continue
        if modified_at(name.path) < now - keep.record:
            going.append(name)
        else:
            younger.add(name.worker)
    return going


def _reached(lost: Counter[str]) -> list[Reached]:
    return [Reached(key, lost[group]) for key, group in GROUPS.items()]


def _asked(keep: Keeping) -> list[str]:
    return [name for name in ("url", "host", "user", "account", "record") if getattr(keep, name)]


def _days(seconds: float) -> str:
    days = seconds / DAY_SECONDS
    return "a day" if days == 1 else f"{days:.0f} days"


def _not_done(failure: Failure) -> None:
    said = "what is older than the policy keeps could not be erased: {reason}; it is tried again"
    if failure.check(CorpproxyError, OSError):  # type: ignore[no-untyped-call]
        log.error(said, reason=failure.getErrorMessage())
    else:
        log.failure("retention failed in a way that nobody expected", failure)
