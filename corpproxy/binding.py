"""Sockets are bound and tokens are read while we may: a service may give its privileges up after that."""

from __future__ import annotations

from pathlib import Path

from corpproxy.config.listeners import Listener
from corpproxy.net.listening import CannotListen, Socket


def bound(listeners: tuple[Listener, ...]) -> tuple[list[Socket], dict[Listener, str]]:
    """Bind the sockets and read the tokens, or raise CannotListen and leave nothing bound."""
    sockets: list[Socket] = []
    try:
        tokens = {one: _token(one, one.token) for one in listeners if one.token is not None}
        for listener in listeners:
            sockets.append(Socket(listener))
    except CannotListen:
        for socket in sockets:
            socket.stop()
        raise
    return sockets, tokens


def _token(listener: Listener, path: Path) -> str:
    """The token of an admin listener, read while we may; an empty one would let everybody in."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        said = f"{listener.place}: cannot read the token of listener '{listener.name}', {path}: {reason}"
        raise CannotListen("bad-token", said) from error
    if not token:
        raise CannotListen("bad-token", f"{listener.place}: the token file {path} is empty")
    return token
