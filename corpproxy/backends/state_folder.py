"""The ``state:`` folder: what stands in it, by name, and who may read it."""

from __future__ import annotations

import os
import pwd
import secrets
from pathlib import Path

from corpproxy.errors import CorpproxyError

# The socket by which commands reach the running service.
CONTROL_SOCKET = "control.sock"

# The key that signs the forms of our pages.
FORMS_KEY = "forms.key"

# The policies that ran.
POLICIES_FOLDER = "policies"

KEY_OCTETS = 32


class StateFolderError(CorpproxyError):
    """The state folder cannot be used (``state-folder``); the message says what to do."""


def make_state_folder(state: Path) -> None:
    """
    Make the state folder where it is missing, for its owner alone; one that is there keeps its mode.

    Raises StateFolderError when it cannot be made or written to.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(state, f"cannot be made: {error.strerror}") from error
    if not os.access(state, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        raise _unusable(state, "cannot be written to")


def kept_key(path: Path) -> bytes:
    """
    Give the key of forms: made once, kept where only its owner can read it.

    Raises StateFolderError.
    """
    try:
        key = path.read_bytes()
        if len(key) >= KEY_OCTETS:
            return key
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    try:
        return _new_key(path)
    except OSError as error:
        raise _unusable(path, f"cannot be written: {error.strerror}") from error


def _new_key(path: Path) -> bytes:
    key = secrets.token_bytes(KEY_OCTETS)
    put_file(path, key, 0o600)
    return key


def put_file(path: Path, octets: bytes, mode: int) -> None:
    """Put a file of ours in its place, whole, with this mode from its first moment; raises OSError."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _unusable(path: Path, what: str) -> StateFolderError:
    said = f"{path} {what}; the service runs as {_who()}, to whom the state folder must belong"
    return StateFolderError("state-folder", said)


def _who() -> str:
    try:
        return f"the user {pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return f"the user {os.geteuid()}"
