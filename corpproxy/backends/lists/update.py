"""
Bringing fetched lists up to date: run as ``python -m corpproxy.backends.lists.update``, with a job on stdin.

It is a process of its own because everything here waits: for servers, for the reading of a list, for
last week's record.  For each list it writes a line to stdout when it is done with it.
A version that may come into force is put into its place; the service finds it there as it finds every list
that changes on the disk.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec

from corpproxy.backends.lists.build import MEMORY_OCTETS, go_behind
from corpproxy.backends.lists.download import Bringing, Brought
from corpproxy.backends.lists.fetch_failed import FetchFailed
from corpproxy.backends.lists.files import open_index
from corpproxy.backends.lists.judge import Judge, Version, index_of, read_version, taken_out
from corpproxy.backends.lists.patience import PATIENCE, Patience
from corpproxy.backends.lists.read import SourceBroken
from corpproxy.backends.lists.shelf import (
    FAILED,
    HELD,
    TAKEN,
    UNCHANGED,
    Event,
    Held,
    Kept,
    Shelf,
    ShelfState,
    Validators,
)
from corpproxy.backends.lists.trees import is_archive
from corpproxy.backends.lists.update_job import Outcome, UpdateJob
from corpproxy.backends.policies.files import DISK
from corpproxy.backends.policies.files import Kept as KeptTexts
from corpproxy.config.configuration import Configuration
from corpproxy.config.load import load_policy
from corpproxy.destination.brake import changes_text, effect_text, reasons_to_hold
from corpproxy.destination.formats import AUTO, UT1
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.sources import ListSource

# A list whose server fails is asked for again after so long, then after twice that, until it is a refresh.
FIRST_RETRY_SECONDS = 300.0

# Sites that were set up in the same minute do not all come in the same minute.
JITTER = 0.05

OURSELVES = "corpproxy"


@dataclass(frozen=True, slots=True)
class Updating:
    """Updates the lists of one policy."""

    configuration: Configuration
    now: Callable[[], float] = time.time
    patience: Patience = PATIENCE
    sleep: Callable[[float], None] = time.sleep
    chance: random.Random = field(default_factory=random.Random)

    def update(self, names: Iterable[str]) -> Iterator[Outcome]:
        """Update the lists of these names, all that are fetched when there are none."""
        wanted = set(names)
        for source in self.configuration.lists:
            if source.fetch is not None and (not wanted or source.name in wanted):
                result, said = self._update(source)
                yield Outcome(source.name, result, said)

    def _update(self, source: ListSource) -> tuple[str, str]:
        assert source.fetch is not None
        shelf = Shelf(source.path, source.fetch.keep)
        try:
            with shelf.fetching(self.now()):
                return self._alone(source, shelf)
        except BlockingIOError:
            return UNCHANGED, "another process is fetching it just now"
        except OSError as error:
            # A full disk, a folder of another user: it is no fault of the source, and the others go on.
            said = f"{error.filename or shelf.folder}: {error.strerror or error}"
            with contextlib.suppress(OSError):
                self._failed(source, shelf, said, 0.0)
            return FAILED, said

    def _alone(self, source: ListSource, shelf: Shelf) -> tuple[str, str]:
        assert source.fetch is not None
        shelf.mend()
        folder = shelf.folder / ".new"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        path = folder / shelf.path.name
        try:
            bringing = Bringing(source.fetch, shelf.folder, self.patience, self.sleep)
            brought = bringing.bring(path, _validators(shelf))
            if brought is None:
                return self._unchanged(source, shelf)
            if source.format not in (AUTO, UT1) and is_archive(path):
                said = f"it is an archive of files, and the policy says format: {source.format}"
                return self._failed(source, shelf, said, 0.0)
            version = read_version(replace(source, path=path), self.now())
            return self._judged(source, shelf, brought, version)
        except FetchFailed as error:
            return self._failed(source, shelf, str(error), error.after)
        except SourceBroken as error:
            return self._failed(source, shelf, f"what came is no list: {error}", 0.0)
        except MemoryError:
            said = f"it takes more than {MEMORY_OCTETS // 1024**3} GiB of memory to read"
            return self._failed(source, shelf, said, 0.0)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # What came of it.

    def _failed(self, source: ListSource, shelf: Shelf, said: str, after: float) -> tuple[str, str]:
        assert source.fetch is not None
        now, failures = self.now(), shelf.state.failures + 1
        pause = min(source.fetch.refresh, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 20))
        next_at = now + max(after, self._about(pause))
        shelf.note(tried=now, result=FAILED, said=said, failures=failures, next_at=next_at)
        return FAILED, said

    def _about(self, seconds: float) -> float:
        return seconds * (1 + self.chance.uniform(-JITTER, JITTER))

    def _good(self, source: ListSource, shelf: Shelf, result: str, said: str) -> tuple[str, str]:
        """Note that a source gave a good answer."""
        assert source.fetch is not None
        now = self.now()
        shelf.note(
            tried=now,
            checked=now,
            result=result,
            said=said,
            failures=0,
            next_at=now + self._about(source.fetch.refresh),
        )
        return result, said

    def _unchanged(self, source: ListSource, shelf: Shelf) -> tuple[str, str]:
        state = shelf.state
        if state.held is not None and state.fetched == state.held.version:
            said = f"version {state.held.version} is still held: {'; '.join(state.held.reasons)}"
            return self._good(source, shelf, HELD, said)
        if state.fetched in state.rejected:
            return self._good(source, shelf, UNCHANGED, f"its version {state.fetched} was rejected before")
        return self._good(source, shelf, UNCHANGED, "it did not change")

    def _judged(
        self, source: ListSource, shelf: Shelf, brought: Brought, version: Version
    ) -> tuple[str, str]:
        """Take a version up, or hold it."""
        assert source.fetch is not None
        name, state = version.report.version, shelf.state
        known = {"fetched": name, "validators": brought.validators}
        before = state.in_force
        if before is not None and before.version == name:
            # Its publisher took back what is held.
            shelf.note(**known, held=None)
            return self._good(source, shelf, UNCHANGED, "it did not change")
        if name in state.rejected or (state.held is not None and state.held.version == name):
            shelf.note(**known)
            return self._unchanged(source, shelf)
        of_all = open_index(self.configuration.state)
        index, suffixes = self._before(source, shelf, state, of_all)
        judge = Judge(self.configuration, source, version, of_all, index)
        findings = judge.findings(suffixes, self.now())
        reasons = reasons_to_hold(findings, source.fetch.brake)
        shelf.add(_kept(brought, version, self.now()), brought.path, version.octets)
        shelf.note(**known)
        if reasons:
            sentences = [one.said for one in reasons]
            codes = list(dict.fromkeys(one.code for one in reasons))
            why = "; ".join(sentences)
            held = Held(name, self.now(), codes, sentences, findings)
            shelf.hold(held, Event(self.now(), HELD, name, OURSELVES, 0, why))
            return self._good(source, shelf, HELD, f"version {name} is held: {why}")
        said = changes_text(findings)
        shelf.take(name, Event(self.now(), TAKEN, name, OURSELVES, 0, said), findings)
        return self._good(source, shelf, TAKEN, f"{said}; it {effect_text(findings.effect)}")

    def _before(
        self, source: ListSource, shelf: Shelf, state: ShelfState, of_all: CategoryIndex | None
    ) -> tuple[CategoryIndex | None, Iterable[str] | None]:
        """The index of the version in force and the public suffixes that it names, None where unknown."""
        kept = state.in_force
        index = index_of(shelf.index_of(kept.version)) if kept is not None else None
        if kept is not None and index is not None:
            return index, kept.suffixes
        # What was known of it is gone; the list itself may be there still.
        try:
            version = read_version(source, self.now())
        except SourceBroken:
            # Or somebody else brought it until now.
            return taken_out(of_all, source), None
        return version.index, version.suffixes


def _validators(shelf: Shelf) -> Validators | None:
    """What to ask by whether there is something new: only where we have what it would be news to."""
    state = shelf.state
    settled = {*state.forces, state.held.version if state.held is not None else ""}
    # A version that came just before we died is neither in force nor held: it must come once more.
    known = state.fetched in state.rejected or (
        state.fetched in settled and shelf.file_of(state.fetched).exists()
    )
    return state.validators if state.fetched and known and state.validators.url else None


def _kept(brought: Brought, version: Version, now: float) -> Kept:
    report, validators = version.report, brought.validators
    return Kept(
        version=report.version,
        at=now,
        url=validators.url,
        octets=brought.octets,
        entries=report.entries,
        modified=_modified(validators.last_modified),
        suffixes=sorted(version.suffixes),
    )


def _modified(written: str) -> float:
    try:
        return parsedate_to_datetime(written).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0


def configuration_of(policy: Path, texts: Mapping[str, bytes]) -> Configuration | None:
    """The policy in force, from its texts."""
    files = KeptTexts(texts, policy.parent, DISK)

    def known(state: Path) -> frozenset[str] | None:
        index = open_index(state)
        return index.known_categories if index is not None else None

    return load_policy(policy, files, known_categories=known, forgiving=True).configuration


def main() -> int:
    """Read a job from stdin, update, write an outcome a line to stdout."""
    go_behind()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=UpdateJob)
    configuration = configuration_of(Path(job.policy), job.texts)
    if configuration is None:
        print("the policy cannot be loaded; 'corpproxy check' says why", file=sys.stderr)
        return 1
    os.umask(0o077)
    for outcome in Updating(configuration).update(job.names):
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
