"""The other end of the control socket: how a command of the command line asks the proxy that runs."""

from __future__ import annotations

import errno
import os
import pwd
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from corpproxy.errors import CorpproxyError

# One line, either way.  A policy with all its problems is far smaller; what is larger is no command.
MAX_LINE_OCTETS = 1024 * 1024

# How long to wait for an answer; a reload builds everything anew, lists included.
ANSWER_SECONDS = 120.0

# Nobody listens: there is no socket, or the one that is there was left behind.
_NOBODY = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR, errno.ENOTSOCK})


class ControlError(CorpproxyError):
    """
    A command could not be given or was refused.

    ``code`` is ``already-running`` (of the server), ``bad-path``, ``not-running``, ``not-permitted``,
    ``no-answer``, or what the proxy says.  ``answer`` is the whole answer when there was one.
    """

    def __init__(self, code: str, message: str, answer: Mapping[str, Any] | None = None) -> None:
        super().__init__(code, message)
        self.answer = dict(answer or {})


def ask(path: Path, command: str, *, timeout: float = ANSWER_SECONDS, **arguments: Any) -> dict[str, Any]:
    """
    Give a command to the proxy that listens at ``path``, and wait for its answer.

    ``timeout`` is in seconds, for each step. What is asked and answered stands in
    :mod:`corpproxy.net.control`.

    :raises ControlError: when there is no proxy or no answer (the sentence says what to do), and when the
        proxy refuses: then its ``answer`` is what the proxy said.
    """
    if named := os.environ.get("SUDO_USER"):
        arguments = {"sudo_user": named, **arguments}
    line = msgspec.json.encode({**arguments, "command": command}) + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            octets = _exchange(connection, line)
    except OSError as problem:
        raise _not_asked(path, problem, timeout) from problem
    return _read_answer(octets)


def _exchange(connection: socket.socket, line: bytes) -> bytes:
    """Send a line, and read until the proxy closes: it does so after its line."""
    try:
        connection.sendall(line)
    except (BrokenPipeError, ConnectionResetError):
        pass  # The proxy refused before it had read all; what it said can still be read.
    pieces: list[bytes] = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def _not_asked(path: Path, problem: OSError, timeout: float) -> ControlError:
    """Say why the proxy could not be asked, and what to do."""
    if isinstance(problem, TimeoutError):
        return ControlError(
            "no-answer", f"corpproxy did not answer within {timeout:g} s; its log may say why"
        )
    if problem.errno in _NOBODY:
        message = (
            f"corpproxy is not running with the state folder {path.parent}; start it, or name its policy file"
        )
        return ControlError("not-running", message)
    if isinstance(problem, PermissionError):
        return ControlError(
            "not-permitted", f"no permission to use {path}; run this as root or as {_owner(path)}"
        )
    return ControlError("bad-path", f"cannot use {path}: {problem.strerror or problem}")


def _owner(path: Path) -> str:
    try:
        return f"the user {pwd.getpwuid(path.stat().st_uid).pw_name}"
    except (OSError, KeyError):
        return "the user that corpproxy runs as"


def _read_answer(octets: bytes) -> dict[str, Any]:
    if not octets.endswith(b"\n"):
        raise ControlError("no-answer", "corpproxy stopped before it had answered; its log may say why")
    try:
        answer = msgspec.json.decode(octets, type=dict[str, Any])
    except msgspec.DecodeError as problem:
        message = f"what answered is no corpproxy of this version: {problem}"
        raise ControlError("no-answer", message) from problem
    if answer.pop("ok", False) is True:
        return answer
    code, message = str(answer.get("code", "failed")), str(answer.get("problem", "corpproxy refused"))
    raise ControlError(code, message, answer)
