"""
The shelf of one fetched list: its versions, the one in force, the one held, what was done and by whom.

The shelf is a folder below ``state/lists/``.  Every version stands there as a file with an index of itself;
the version in force has the list's own name too, which is what the index of all lists is built from.
What is known of them is one small file, replaced as a whole; whoever changes it holds a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from corpproxy.backends.atomic_file import replace_file
from corpproxy.destination.brake import Findings
from corpproxy.errors import CorpproxyError

STATE_FILE = "state.json"

# Who fetches the list just now, and since when.
FETCHING_FILE = "fetching"

# What was done with a list, as far back as anybody asks.
MAX_EVENTS = 100

# What becomes of an attempt to bring a list up to date.
TAKEN = "taken"
UNCHANGED = "unchanged"
HELD = "held"
FAILED = "failed"


class ShelfError(CorpproxyError):
    """What was asked of a list cannot be done: ``no-version``, ``nothing-held``, ``bad-shelf``."""


class Validators(msgspec.Struct, frozen=True):
    """What a server said to know a version again by."""

    url: str = ""
    etag: str = ""
    last_modified: str = ""


class Kept(msgspec.Struct, frozen=True):
    """
    One version.

    ``version`` is that of its content, as records cite it.  ``at`` is when it was fetched, ``modified`` when
    its publisher says that it changed, 0 when that is not said.  ``octets`` are those fetched, ``suffixes``
    the public suffixes that it names.
    """

    version: str
    at: float
    url: str
    octets: int
    entries: dict[str, int]
    modified: float = 0.0
    suffixes: list[str] = []

    @property
    def total(self) -> int:
        """How many entries it has."""
        return sum(self.entries.values())


class Held(msgspec.Struct, frozen=True):
    """A version that waits for somebody to accept or reject it, and why: codes and sentences."""

    version: str
    at: float
    codes: list[str]
    reasons: list[str]
    findings: Findings


class Event(msgspec.Struct, frozen=True):
    """What was done with a version, when, by whom and why; ``by`` is ``corpproxy`` for the brake itself."""

    at: float
    what: str
    version: str
    by: str
    uid: int
    why: str = ""


class ShelfState(msgspec.Struct, frozen=True):
    """
    What is known of a list.

    ``forces`` are the versions that were in force, the last of them is.  ``fetched`` is the version that came
    last, whatever became of it, with the validators to ask for a newer.  ``checked`` is when a
    source last gave a good answer, ``tried`` when it was last asked, ``result`` and ``said`` what came of it.
    ``failures`` are those since the last good answer; nobody asks before ``next_at``.
    """

    forces: list[str] = []
    versions: dict[str, Kept] = {}
    held: Held | None = None
    rejected: list[str] = []
    fetched: str = ""
    validators: Validators = Validators()
    checked: float = 0.0
    tried: float = 0.0
    result: str = ""
    said: str = ""
    failures: int = 0
    next_at: float = 0.0
    findings: Findings | None = None
    events: list[Event] = []

    @property
    def in_force(self) -> Kept | None:
        """The version in force."""
        return self.versions.get(self.forces[-1]) if self.forces else None


def read_shelf(folder: Path) -> ShelfState:
    """What is known of a list; nothing when there is no shelf yet, or what stands there cannot be read."""
    try:
        return msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=ShelfState)
    except (OSError, msgspec.MsgspecError):
        return ShelfState()


def fetching_since(folder: Path) -> float | None:
    """Since when a list is being fetched, in POSIX seconds; None where nobody does."""
    try:
        pid, since = (folder / FETCHING_FILE).read_text().split()
        os.kill(int(pid), 0)
    except PermissionError:
        pass  # it is there, and somebody else's
    except (OSError, ValueError):
        return None  # one that was killed left its mark
    return float(since)


class Shelf:
    """
    The shelf of a list, to change it.

    ``path`` is where the version in force stands; ``keep`` predecessors stay.
    """

    def __init__(self, path: Path, keep: int) -> None:
        self.path = path
        self.folder = path.parent
        self._keep = keep

    @property
    def state(self) -> ShelfState:
        """What is known now."""
        return read_shelf(self.folder)

    def file_of(self, version: str) -> Path:
        """The file of a version."""
        return self.folder / f"{version}{self.path.suffix}"

    def index_of(self, version: str) -> Path:
        """The index of a version."""
        return self.folder / f"{version}.index"

    @contextlib.contextmanager
    def alone(self, what: str = "state", *, waits: bool = True) -> Iterator[None]:
        """Hold a lock of the shelf; raises BlockingIOError when somebody else does and we do not wait."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.folder / f".{what}.lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def fetching(self, at: float) -> Iterator[None]:
        """Hold the lock of who fetches, and say so; raises BlockingIOError when somebody else does."""
        with self.alone("fetch", waits=False):
            mark = self.folder / FETCHING_FILE
            mark.write_text(f"{os.getpid()} {at:.0f}\n")
            try:
                yield
            finally:
                mark.unlink(missing_ok=True)

    def write(self, state: ShelfState) -> None:
        """Put another state in the place of the one that is known."""
        replace_file(self.folder / STATE_FILE, msgspec.json.encode(state))

    def note(self, **changes: object) -> ShelfState:
        """Change what is known of the source; the versions stay."""
        with self.alone():
            state = msgspec.structs.replace(self.state, **changes)
            self.write(state)
        return state

    def mend(self) -> None:
        """Put the version in force back into its place, if somebody took it away."""
        state = self.state
        if state.in_force is not None and not self.path.exists():
            with self.alone(), contextlib.suppress(FileNotFoundError):
                self._put_in_place(state.in_force.version)

    # What becomes of a version.

    def add(self, kept: Kept, file: Path, index: bytes | memoryview) -> None:
        """Take a version in: its file, which is moved, and its index."""
        with self.alone():
            beside = self.index_of(kept.version).with_name(f".{kept.version}.new")
            beside.write_bytes(index)
            os.replace(beside, self.index_of(kept.version))
            os.replace(file, self.file_of(kept.version))
            state = self.state
            self.write(msgspec.structs.replace(state, versions={**state.versions, kept.version: kept}))

    def take(self, version: str, event: Event, findings: Findings | None = None) -> None:
        """Put a version into force."""
        with self.alone():
            self._take(self.state, version, event, findings)

    def hold(self, held: Held, event: Event) -> None:
        """Let a version wait; one that waited before is forgotten."""
        with self.alone():
            state = self.state
            self._settle(msgspec.structs.replace(state, held=held), event)

    def accept(self, version: str, at: float, by: str, uid: int) -> Kept:
        """
        Put the version that is held into force, or any that is kept; empty is the one that is held.

        Raises ShelfError.
        """
        with self.alone():
            state = self.state
            held = state.held
            wanted = version or (held.version if held is not None else "")
            if not wanted:
                known = ", ".join(state.versions) or "none"
                said = f"no version of it is held; kept are: {known}; name one with --version"
                raise ShelfError("nothing-held", said)
            kept, before = self._kept(state, wanted), state.in_force
            if before is not None and before.version == wanted:
                raise ShelfError("in-force", f"version {wanted} is in force already")
            if before is not None and kept.at < before.at:
                # Going back: what is gone back from must not come again by itself.
                state = msgspec.structs.replace(state, rejected=[*state.rejected, before.version])
            is_held = held is not None and held.version == wanted
            why = "; ".join(held.reasons) if is_held and held is not None else "a version of before"
            findings = held.findings if is_held and held is not None else None
            self._take(state, kept.version, Event(at, "accepted", kept.version, by, uid, why), findings)
            return kept

    def reject(self, at: float, by: str, uid: int) -> Kept:
        """Throw the version that is held away, until its source has another; raises ShelfError."""
        with self.alone():
            state = self.state
            if state.held is None:
                raise ShelfError("nothing-held", "no version of it is held")
            version = state.held.version
            kept = self._kept(state, version)
            after = msgspec.structs.replace(state, held=None, rejected=[*state.rejected, version])
            self._settle(after, Event(at, "rejected", version, by, uid, "; ".join(state.held.reasons)))
            return kept

    def roll_back(self, at: float, by: str, uid: int) -> tuple[Kept, Kept]:
        """
        Put the version of before into force; the one that was is not taken again by itself.

        Gives the version that was in force and the one that is; raises ShelfError.
        """
        with self.alone():
            state = self.state
            if len(state.forces) < 2 or state.in_force is None:
                raise ShelfError("no-version", "there is no version before the one in force")
            *before, gone = state.forces
            was, is_now = state.in_force, self._kept(state, before[-1])
            self._put_in_place(is_now.version)
            rejected = [*state.rejected, gone]
            after = msgspec.structs.replace(state, forces=before, rejected=rejected, findings=None)
            why = f"in the place of {gone}"
            self._settle(after, Event(at, "rolled back", is_now.version, by, uid, why))
            return was, is_now

    def _kept(self, state: ShelfState, version: str) -> Kept:
        kept = state.versions.get(version)
        if kept is None or not self.file_of(version).exists():
            known = ", ".join(state.versions) or "none"
            raise ShelfError("no-version", f"there is no version {version}; kept are: {known}")
        return kept

    def _take(self, state: ShelfState, version: str, event: Event, findings: Findings | None) -> None:
        self._put_in_place(version)
        forces = [*(one for one in state.forces if one != version), version]
        held = state.held if state.held is not None and event.what != TAKEN else None
        if held is not None and held.version == version:
            held = None
        after = msgspec.structs.replace(
            state,
            forces=forces,
            held=held,
            rejected=[one for one in state.rejected if one != version],
            findings=findings,
        )
        self._settle(after, event)

    def _settle(self, state: ShelfState, event: Event) -> None:
        """Write a state with what was done, and take away what nobody goes back to."""
        forces = state.forces[-(self._keep + 1) :]
        wanted = {*forces, state.fetched} | ({state.held.version} if state.held is not None else set())
        # What was rejected a moment ago may be wanted back.
        wanted.update(state.rejected[-1:])
        versions = {version: kept for version, kept in state.versions.items() if version in wanted}
        events = [*state.events, event][-MAX_EVENTS:]
        # A version that was rejected is known by its number long after its file has gone.
        rejected = state.rejected[-MAX_EVENTS:]
        self.write(
            msgspec.structs.replace(state, forces=forces, versions=versions, events=events, rejected=rejected)
        )
        for version in state.versions.keys() - versions.keys():
            self.file_of(version).unlink(missing_ok=True)
            self.index_of(version).unlink(missing_ok=True)

    def _put_in_place(self, version: str) -> None:
        """Give a version the list's own name, in one step."""
        beside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            os.link(self.file_of(version), beside)
        except FileNotFoundError:
            raise
        except OSError:
            # A file system without hard links.
            shutil.copy2(self.file_of(version), beside)
        os.replace(beside, self.path)
        # A rename of two names of one file does nothing, and leaves both.
        beside.unlink(missing_ok=True)
        _sync(self.folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
