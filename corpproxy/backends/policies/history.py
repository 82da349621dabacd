"""
The policies that ran, kept in the state folder, and the last good one to start on after a broken edit.

Every version is a folder, ``policies/<version>/``, with the texts of all its files and ``version.json``,
which says when it ran, by whose command and why.  A version is written beside the others and appears by one
rename; ``policies/last-good`` names the one that ran last.  Nothing here is needed to run, so a disk
that is full costs a version of history and no more.

Old versions are forgotten, but none that a kept record may name: what it decided could not be explained any
more.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from corpproxy.backends.atomic_file import replace_file
from corpproxy.backends.records.cited import may_be_cited, recorded_since
from corpproxy.backends.state_folder import POLICIES_FOLDER
from corpproxy.config.nearest import did_you_mean
from corpproxy.config.sources import version_of
from corpproxy.errors import CorpproxyError

# Versions kept whatever the records name: two a week for a year.  A version of a large site has 200 KiB.
MAX_VERSIONS = 100

PUT_ASIDE = "put aside"

# How often one version ran is told up to here; a service that restarts each minute must not fill the file.
MAX_RUNS = 20

VERSION_FILE = "version.json"
LAST_GOOD_FILE = "last-good"


class HistoryError(CorpproxyError):
    """A version cannot be kept, found or read: ``not-kept``, ``no-version`` or ``not-readable``."""


class Run(msgspec.Struct, frozen=True):
    """
    One time a version came into force, or was put aside.

    ``at`` is POSIX seconds; ``by`` and ``uid`` are who gave the command; ``why`` is ``start``, ``reload``,
    ``rollback`` or ``put aside`` (kept because a rollback replaced it).
    """

    at: float
    by: str
    uid: int
    why: str


class Version(msgspec.Struct, frozen=True):
    """
    One kept policy.

    ``policy`` is the whole path of its file; ``files`` maps the paths of all its files, relative to the
    folder of the policy, to the names they have in the version's folder.
    """

    version: str
    policy: str
    files: dict[str, str]
    runs: tuple[Run, ...]

    @property
    def last(self) -> Run:
        """When it ran last."""
        return self.runs[-1]

    @property
    def ran(self) -> bool:
        """Whether it was ever in force."""
        return any(run.why != PUT_ASIDE for run in self.runs)


class LastGood(msgspec.Struct, frozen=True):
    """Which version ran last, and for which policy file."""

    version: str
    policy: str


@dataclass(frozen=True, slots=True)
class History:
    """The kept policies of one state folder."""

    state: Path

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self.state / POLICIES_FOLDER

    def keep(self, texts: Mapping[str, bytes], policy: Path, run: Run) -> Version:
        """
        Keep a policy that came into force; it is the last good one from now on.

        Raises HistoryError when it cannot be written, and then what was kept before stands as it was.
        """
        version = self._write(texts, policy, run)
        pointer = LastGood(version.version, version.policy)
        with _told("the last good policy cannot be noted"):
            replace_file(self.folder / LAST_GOOD_FILE, msgspec.json.encode(pointer))
        self._forget_oldest()
        return version

    def put_aside(self, texts: Mapping[str, bytes], policy: Path, run: Run) -> Version:
        """Keep texts that are about to be replaced, whether they ever ran or not; raises HistoryError."""
        version = self._write(texts, policy, run)
        self._forget_oldest()
        return version

    def versions(self) -> list[Version]:
        """All that are kept, the one that ran last first; what cannot be read is left out."""
        found = []
        for folder in self.folder.iterdir() if self.folder.is_dir() else ():
            with contextlib.suppress(HistoryError):
                if not folder.name.startswith(".") and folder.is_dir():
                    found.append(self._read(folder))
        return sorted(found, key=lambda version: version.last.at, reverse=True)

    def version(self, written: str) -> Version:
        """The version of a name, or of the beginning of one; HistoryError unless there is just one."""
        kept = {version.version: version for version in self.versions()}
        if written in kept:
            return kept[written]
        fitting = [name for name in kept if written and name.startswith(written)]
        if len(fitting) == 1:
            return kept[fitting[0]]
        if fitting:
            said = f"'{written}' begins several versions: {', '.join(sorted(fitting))}"
            raise HistoryError("no-version", said)
        raise HistoryError("no-version", f"there is no version '{written}'{did_you_mean(written, kept)}")

    def texts(self, version: Version) -> dict[str, bytes]:
        """The octets of all files of a version; raises HistoryError when one is gone or changed."""
        folder = self.folder / version.version
        try:
            texts = {name: (folder / kept).read_bytes() for name, kept in version.files.items()}
        except OSError as error:
            raise HistoryError("not-readable", f"cannot read {error.filename}: {error.strerror}") from error
        if version_of(texts) != version.version:
            said = f"the files in {folder} were changed; they are no longer {version.version}"
            raise HistoryError("not-readable", said)
        return texts

    def last_good(self) -> Version | None:
        """The version that ran last, None when there is none."""
        try:
            pointer = msgspec.json.decode((self.folder / LAST_GOOD_FILE).read_bytes(), type=LastGood)
            return self._read(self.folder / pointer.version)
        except (OSError, msgspec.DecodeError, HistoryError):
            return None

    def _read(self, folder: Path) -> Version:
        try:
            version = msgspec.json.decode((folder / VERSION_FILE).read_bytes(), type=Version)
        except (OSError, msgspec.DecodeError) as error:
            raise HistoryError("not-readable", f"cannot read {folder / VERSION_FILE}: {error}") from error
        if version.version != folder.name or not version.runs:
            raise HistoryError("not-readable", f"{folder / VERSION_FILE} is not what it was")
        return version

    def _write(self, texts: Mapping[str, bytes], policy: Path, run: Run) -> Version:
        name = version_of(texts)
        folder = self.folder / name
        with _told("the policy cannot be kept"):
            self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            try:
                before = self._read(folder)
            except HistoryError:
                return self._write_new(folder, texts, policy, run)
            runs = (*before.runs, run)[-MAX_RUNS:]
            version = msgspec.structs.replace(before, policy=whole_path(policy), runs=runs)
            replace_file(folder / VERSION_FILE, msgspec.json.encode(version))
            return version

    def _write_new(self, folder: Path, texts: Mapping[str, bytes], policy: Path, run: Run) -> Version:
        files = {name: f"{number:03}-{Path(name).name}" for number, name in enumerate(texts)}
        version = Version(folder.name, whole_path(policy), files, (run,))
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=self.folder))
        try:
            beside.chmod(0o750)
            for name, octets in texts.items():
                replace_file(beside / files[name], octets)
            replace_file(beside / VERSION_FILE, msgspec.json.encode(version))
            if folder.exists():
                # Half a version, from a disk that was full or a hand that was quick.
                shutil.rmtree(folder)
            beside.rename(folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        return version

    def _forget_oldest(self) -> None:
        """
        Take away what is past the bound.

        Never the last good version, which is also the one that runs, nor one that a kept record may name.
        """
        versions = self.versions()
        if len(versions) <= MAX_VERSIONS:
            return
        good = self.last_good()
        since = recorded_since(self.state)
        for number, version in enumerate(versions):
            ended = min((newer.last.at for newer in versions[:number] if newer.ran), default=math.inf)
            is_named = version.ran and may_be_cited(ended, since)
            if number >= MAX_VERSIONS and not is_named and version != good:
                shutil.rmtree(self.folder / version.version, ignore_errors=True)


def whole_path(path: Path) -> str:
    """The path of a policy file by which versions are known as its own."""
    return os.path.realpath(path)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what the disk says into a HistoryError."""
    try:
        yield
    except (OSError, shutil.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        where = getattr(error, "filename", None) or "the state folder"
        raise HistoryError("not-kept", f"{what}: {reason} ({where})") from error
