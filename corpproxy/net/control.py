"""
The control socket: how the command line talks to the proxy that runs.

A Unix socket in the state folder takes one line of JSON, ``{"command": "reload", ...}``, answers with one
line, ``{"ok": true, ...}`` or ``{"ok": false, "code": "...", "problem": "..."}``, and closes. Only root and
the user that the proxy runs as are answered: the socket's mode keeps others out, and the kernel says who is
there (SO_PEERCRED).
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.errors import CorpproxyError
from corpproxy.net.ask import MAX_LINE_OCTETS, ControlError, ask
from corpproxy.net.caller import Caller, user_name, who_really

__all__ = ["Caller", "ControlError", "ControlServer", "ask", "caller_of", "user_name"]

# How long a caller may take to send its line.
LINE_SECONDS = 10.0

# sockaddr_un holds 108 octets with the one that ends the path.
MAX_PATH_OCTETS = 107

_CREDENTIALS = struct.Struct("3i")
_log = Logger()


Command = Callable[[Caller, dict[str, Any]], Any]


def caller_of(transport: Any) -> Caller:
    """Who is at the other end of a Unix socket (unix(7), SO_PEERCRED)."""
    octets = transport.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(octets)
    return Caller(uid, gid, pid, user_name(uid))


class ControlServer:
    """
    The control socket of one proxy.

    ``commands`` maps the name of a command to what it does: called with the caller and the arguments, it
    gives a dict (or a Deferred of one) that is sent back. A CorpproxyError becomes an answer with its code
    and its sentence; anything else is a fault of ours, which is logged, and told without its details.
    """

    def __init__(
        self,
        path: Path,
        commands: Mapping[str, Command],
        *,
        reactor: Any = None,
        identify: Callable[[Any], Caller] = caller_of,
    ) -> None:
        """``path`` is the socket; beside it a lock file of the same name stays as long as the proxy runs."""
        self.path = path
        self.commands = commands
        self.identify = identify
        if reactor is None:
            from twisted.internet import reactor
        self.reactor: Any = reactor
        self._lock: int | None = None
        self._port: IListeningPort | None = None

    def start(self) -> None:
        """
        Listen; a socket that a dead proxy left behind is replaced.

        :raises ControlError: when another proxy uses this folder, or there can be no socket here.
        """
        if len(os.fsencode(self.path)) > MAX_PATH_OCTETS:
            message = f"{self.path}: the path of a socket has at most {MAX_PATH_OCTETS} octets; "
            raise ControlError("bad-path", message + "set a shorter state folder in the policy")
        self._take_lock()
        try:
            self._listen()
        except (OSError, CannotListenError) as problem:
            self._free_lock()
            raise ControlError(
                "bad-path", f"{self.path}: cannot make the control socket: {problem}"
            ) from problem

    def stop(self) -> Deferred[None]:
        """Stop listening and take the socket away; the Deferred fires when that is done."""
        port, self._port = self._port, None
        if port is None:
            return maybeDeferred(lambda: None)
        return maybeDeferred(port.stopListening).addBoth(self._stopped)

    def _stopped(self, outcome: Any) -> None:
        self.path.unlink(missing_ok=True)
        self._free_lock()

    def _take_lock(self) -> None:
        """
        Hold the lock of this folder for as long as the process lives.

        The kernel frees it however the process ends, so that a socket found with the lock free is a dead one.
        To ask the old socket instead would leave a moment for two proxies that start together.
        """
        lock = self.path.with_name(self.path.name + ".lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as problem:
            raise ControlError(
                "bad-path", f"{lock}: cannot make the lock file: {problem.strerror}"
            ) from problem
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            message = f"another corpproxy is running on this state folder ({self.path.parent}); stop it first"
            raise ControlError("already-running", message) from None
        self._lock = descriptor

    def _free_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _listen(self) -> None:
        if self.path.is_socket():
            self.path.unlink()
        # The mode is set before the socket listens: in between nobody can connect, whatever the umask.
        self._port = self.reactor.listenUNIX(str(self.path), _ControlFactory(self), mode=0o600)


class _ControlFactory(Factory):
    noisy = False

    def __init__(self, server: ControlServer) -> None:
        self._server = server

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return ControlProtocol(self._server)


class ControlProtocol(Protocol):
    """One caller: a line in, a line out."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._line = b""
        self._asked = False
        self._gone = False
        self._caller: Caller | None = None
        self._limit: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._caller = caller = self._server.identify(self.transport)
        if caller.uid not in {0, os.geteuid()}:
            _log.warn("{name} (uid {uid}) may not use the control socket", name=caller.name, uid=caller.uid)
            self._refuse("not-permitted", f"only root and {user_name(os.geteuid())} may give commands")
            return
        self._limit = self._server.reactor.callLater(LINE_SECONDS, self._too_slow)

    def dataReceived(self, data: bytes) -> None:
        if self._asked:
            return
        self._line += data
        line, end, _ = self._line.partition(b"\n")
        if len(line) > MAX_LINE_OCTETS:
            self._refuse("too-long", f"a command has at most {MAX_LINE_OCTETS} octets")
        elif end:
            self._perform(line)

    def _too_slow(self) -> None:
        self._refuse("too-slow", f"no command within {LINE_SECONDS:.0f} s")

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._gone = True
        self._stop_clock()

    def _perform(self, line: bytes) -> None:
        """Do what one line says."""
        try:
            request = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            self._refuse("bad-command", f"a command is one JSON object on one line: {problem}")
            return
        name = request.pop("command", None)
        command = self._server.commands.get(name) if isinstance(name, str) else None
        if command is None:
            known = ", ".join(sorted(self._server.commands))
            self._refuse("unknown-command", f"there is no command {name!r}; there are: {known}")
            return
        self._asked = True
        self._stop_clock()
        caller = cast(Caller, self._caller)
        # Behind root stands a person: it is they whom records name.
        caller = replace(caller, name=who_really(caller, request))
        request.pop("sudo_user", None)
        done = maybeDeferred(command, caller, request)
        done.addCallback(self._done).addErrback(self._failed, name)

    def _done(self, answer: dict[str, Any]) -> None:
        self._answer({"ok": True, **answer})

    def _failed(self, failure: Failure, name: str) -> None:
        if isinstance(failure.value, CorpproxyError):
            more = getattr(failure.value, "answer", {})
            self._refuse(failure.value.code, failure.value.message, more)
            return
        _log.failure("The command {name} failed in a way that nobody expected", failure, name=name)
        self._refuse("failed", f"a fault of the proxy ended {name!r}; its log says more")

    def _refuse(self, code: str, problem: str, more: Mapping[str, Any] | None = None) -> None:
        self._answer({**(more or {}), "ok": False, "code": code, "problem": problem})

    def _answer(self, answer: dict[str, Any]) -> None:
        self._asked = True
        self._stop_clock()
        if self._gone:
            return
        transport = cast(Any, self.transport)
        transport.write(msgspec.json.encode(answer) + b"\n")
        transport.loseConnection()

    def _stop_clock(self) -> None:
        limit, self._limit = self._limit, None
        if limit is not None and limit.active():
            limit.cancel()
