"""
The files of pseudonyms, in a folder of the state folder: for each period a lock, a key, and tables.

The lock says what the table is sealed with, and has the private key of that split for each two keepers; it is
made with the period, and the private key is forgotten at once.  The key makes the pseudonyms, so that all
processes and restarts make the same; it is deleted when the period is over.  Each process adds to a table of
its own whom it meets for the first time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import tzinfo
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from twisted.logger import Logger

from corpproxy.audit.pseudonyms import (
    DEVICE,
    NOBODY,
    PERSON,
    Entry,
    Naming,
    Period,
    PseudonymSettings,
    period_at,
    pseudonym,
)
from corpproxy.audit.sealing import (
    KEY_OCTETS,
    CannotOpen,
    Half,
    fingerprint,
    joined,
    new_key,
    raw,
    seal,
    split,
    unseal,
)
from corpproxy.backends.erasing.places import PSEUDONYMS_FOLDER
from corpproxy.backends.state_folder import put_file
from corpproxy.errors import CorpproxyError

LOCK, KEY, TABLE = ".lock", ".key", ".table"

# People and devices whose pseudonyms are at hand.
MAX_REMEMBERED = 100_000

_log = Logger()


class BadKeeper(CorpproxyError):
    """A key of a keeper cannot be used (``bad-keeper``); the message says why."""


class Lock(msgspec.Struct, frozen=True):
    """
    The lock of a period.

    ``public`` is what entries are sealed with, in hex; ``keepers`` are the names of keepers by the
    fingerprints of their keys; ``ends`` is when the period is over, POSIX seconds.
    """

    period: str
    ends: float
    public: str
    keepers: dict[str, str]
    halves: tuple[Half, ...]


class KeptNaming(Naming):
    """
    Pseudonyms that last for a period, in all processes.

    ``now`` gives POSIX seconds; ``worker`` tells tables of processes apart.
    """

    def __init__(
        self,
        state: Path,
        settings: PseudonymSettings,
        zone: tzinfo,
        now: Callable[[], float],
        worker: int = 0,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._folder = state / PSEUDONYMS_FOLDER
        self._settings = settings
        self._zone = zone
        self._now = now
        self._worker = worker
        self._random = random
        self._period = Period("", 0.0)
        self._key = b""
        self._table_key: X25519PublicKey | None = None
        self._known: dict[tuple[str, str], str] = {}
        self.failing_reason = ""

    def person(self, name: str) -> str:
        """The pseudonym of a person."""
        return self._name(PERSON, name)

    def device(self, address: str) -> str:
        """The pseudonym of a client's address."""
        return self._name(DEVICE, address)

    def _name(self, kind: str, name: str) -> str:
        now = self._now()
        try:
            # A clock that was set back has its own period again.
            if not self._period.ends - 400 * 86400 <= now < self._period.ends:
                self._begin(now)
            known = self._known.get((kind, name))
            return known if known is not None else self._met(kind, name)
        except (OSError, CorpproxyError) as error:
            self._fail(str(error))
            return NOBODY

    def _fail(self, reason: str) -> None:
        if reason != self.failing_reason:
            said = "no pseudonyms can be made, and nobody is named in the record: {reason}"
            _log.critical(said, reason=reason)
        self.failing_reason = reason

    def _begin(self, now: float) -> None:
        settings = self._settings
        period = period_at(now, self._zone, settings.every, settings.begins)
        lock, key = opened_period(self._folder, period, settings, self._random)
        self._table_key = X25519PublicKey.from_public_bytes(bytes.fromhex(lock.public))
        self._period, self._key = period, key
        self._known.clear()
        self.failing_reason = ""
        delete_old_keys(self._folder, now)

    def _met(self, kind: str, name: str) -> str:
        """Somebody comes for the first time: the table has to know before the record does."""
        assert self._table_key is not None
        made = pseudonym(kind, name, self._key)
        line = msgspec.json.encode(Entry(made, name.encode("utf-8", "backslashreplace").decode()))
        box = seal(line, self._table_key, self._random)
        with _alone_with(self._folder):
            path = self._folder / f"{self._period.name}-w{self._worker}{TABLE}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, box.hex().encode() + b"\n")
            finally:
                os.close(descriptor)
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[kind, name] = made
        return made


def opened_period(
    folder: Path, period: Period, settings: PseudonymSettings, random: Callable[[int], bytes]
) -> tuple[Lock, bytes]:
    """
    Give the lock and the key of a period, made by whoever comes first.

    :raises OSError: when they cannot be read or written.
    :raises BadKeeper: when a keeper's key cannot be used.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock_path, key_path = folder / f"{period.name}{LOCK}", folder / f"{period.name}{KEY}"
    if not lock_path.exists():
        _put_first(lock_path, msgspec.json.encode(_new_lock(period, settings, random)))
    if not key_path.exists():
        _put_first(key_path, random(KEY_OCTETS))
    return read_lock(lock_path), key_path.read_bytes()


def _new_lock(period: Period, settings: PseudonymSettings, random: Callable[[int], bytes]) -> Lock:
    keys = {name: keeper_key(path) for name, path in settings.keepers.items()}
    private = new_key(random)
    secret = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return Lock(
        period.name,
        period.ends,
        raw(private.public_key()).hex(),
        {fingerprint(key): name for name, key in keys.items()},
        tuple(split(secret, list(keys.values()), random)),
    )


def _put_first(path: Path, octets: bytes) -> None:
    """Put a file in its place, whole, unless another process was quicker: then that one's stands."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def read_lock(path: Path) -> Lock:
    """
    Read a lock.

    :raises BadKeeper: when it is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lock)
    except msgspec.MsgspecError as error:
        raise BadKeeper("bad-keeper", f"{path} is no lock of pseudonyms: {error}") from error


def delete_old_keys(folder: Path, now: float) -> None:
    """Delete the keys of periods that are over: from then on only keepers know who it was."""
    for lock in locks(folder):
        if lock.ends <= now:
            (folder / f"{lock.period}{KEY}").unlink(missing_ok=True)


def delete_old_tables(folder: Path, before: float) -> int:
    """Delete all of periods that were over before a moment; gives how many periods it were."""
    gone = [lock.period for lock in locks(folder) if lock.ends < before]
    for period in gone:
        for path in (*tables(folder, period), folder / f"{period}{KEY}", folder / f"{period}{LOCK}"):
            path.unlink(missing_ok=True)
    return len(gone)


def locks(folder: Path) -> list[Lock]:
    """The locks of a folder, the oldest period first; those that cannot be read are left out."""
    found = []
    for path in folder.glob(f"*{LOCK}"):
        with suppress(OSError, BadKeeper):
            found.append(read_lock(path))
    return sorted(found, key=lambda lock: lock.ends)


def tables(folder: Path, period: str) -> list[Path]:
    """The tables of a period."""
    return sorted(folder.glob(f"{period}-w*{TABLE}"))


def pseudonyms_now(folder: Path, user: str, client: str) -> list[str]:
    """The pseudonyms of a person or a device in periods that are not over, whose keys are there."""
    found = []
    for lock in locks(folder):
        with suppress(OSError):
            key = (folder / f"{lock.period}{KEY}").read_bytes()
            found += [pseudonym(kind, name, key) for kind, name in ((PERSON, user), (DEVICE, client)) if name]
    return found


def periods_over(folder: Path) -> list[str]:
    """The periods whose pseudonyms only keepers can resolve."""
    return [lock.period for lock in locks(folder) if not (folder / f"{lock.period}{KEY}").exists()]


def resolved(
    folder: Path, keys: Sequence[X25519PrivateKey], wanted: Callable[[Entry], bool]
) -> Iterator[tuple[Lock, Entry, str]]:
    """
    Give the entries that are wanted of all periods that these keys open, and the line that each is sealed in.

    :raises CannotOpen: when they open no period at all.
    """
    periods = locks(folder)
    opened = 0
    for lock in periods:
        try:
            secret = joined(lock.halves, keys)
        except CannotOpen:
            continue
        opened += 1
        private = X25519PrivateKey.from_private_bytes(secret)
        for line in _lines(tables(folder, lock.period)):
            with suppress(CannotOpen, ValueError, msgspec.MsgspecError):
                entry = msgspec.json.decode(unseal(bytes.fromhex(line), private), type=Entry)
                if wanted(entry):
                    yield lock, entry, line
    if periods and not opened:
        raise CannotOpen("these keys open no table: it takes the keys of two of its keepers")


def _lines(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        yield from path.read_text("ascii").splitlines()


def drop_lines(folder: Path, gone: frozenset[str]) -> int:
    """Take lines out of the tables; gives how many they were."""
    count = 0
    for path in folder.glob(f"*{TABLE}"):
        # A process adds a line in a moment, and waits for this one.
        with _alone_with(folder):
            lines = path.read_text("ascii").splitlines()
            kept = [line for line in lines if line not in gone]
            if len(kept) != len(lines):
                count += len(lines) - len(kept)
                put_file(path, "".join(f"{line}\n" for line in kept).encode(), 0o600)
    return count


@contextmanager
def _alone_with(folder: Path) -> Iterator[None]:
    """Be the only one who changes the tables of a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


# Keys of keepers.


def keeper_key(path: Path) -> X25519PublicKey:
    """
    Read the public key of a keeper, as PEM.

    :raises BadKeeper: when it is none.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise BadKeeper("bad-keeper", f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadKeeper("bad-keeper", f"{path} is no public key in PEM") from error
    if not isinstance(key, X25519PublicKey):
        raise BadKeeper("bad-keeper", f"{path} is no X25519 key; 'corpproxy audit keeper' makes one")
    return key


def private_keeper_key(path: Path, passphrase: bytes) -> X25519PrivateKey:
    """
    Read the private key of a keeper.

    :raises BadKeeper: when it is none, or the passphrase is wrong.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase)
    except OSError as error:
        raise BadKeeper("bad-keeper", f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise BadKeeper("bad-keeper", f"{path}: the passphrase is wrong, or it is no private key") from error
    if not isinstance(key, X25519PrivateKey):
        raise BadKeeper("bad-keeper", f"{path} is no X25519 key")
    return key


def new_keeper(passphrase: bytes, random: Callable[[int], bytes] = os.urandom) -> tuple[bytes, bytes]:
    """Make a key for a keeper: private, locked by a passphrase, and public, both as PEM."""
    key = new_key(random)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private, public
