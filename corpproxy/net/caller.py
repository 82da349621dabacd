"""Who gives a command over the control socket: what the kernel knows, and who is behind root."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What the kernel says of a process that nobody signed in for.
_NO_LOGIN = 0xFFFFFFFF
_MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class Caller:
    """Who gives a command, as the kernel knows them; ``name`` is the name of the user, or its number."""

    uid: int
    gid: int
    pid: int
    name: str


def user_name(uid: int) -> str:
    """The name of a user of this system, or the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def who_really(caller: Caller, arguments: Mapping[str, Any]) -> str:
    """
    Say who gives a command, where it comes from root: who signed in to the machine, as the kernel has it.

    Where the kernel does not know (no audit, as in a container), it is whom sudo names; only root can say so.
    """
    if caller.uid:
        return caller.name
    uid = _login_of(caller.pid)
    if uid not in (None, 0, _NO_LOGIN):
        return user_name(int(uid or 0))
    named = str(arguments.get("sudo_user") or "")[:_MAX_NAME]
    return named if named.isprintable() and named else caller.name


def who_we_are() -> str:
    """The person who gives a command that does something by itself, without the service."""
    caller = Caller(os.geteuid(), os.getegid(), os.getpid(), user_name(os.geteuid()))
    return who_really(caller, {"sudo_user": os.environ.get("SUDO_USER", "")})


def _login_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        return None
