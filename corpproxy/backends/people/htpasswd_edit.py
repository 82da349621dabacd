"""Editing an htpasswd file: for ``corpproxy users`` and the own password on the portal.  All of it blocks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from corpproxy.backends.atomic_file import edited_alone, read_whole, replace_file
from corpproxy.backends.people.htpasswd_lines import read_users, with_hashes, without_names
from corpproxy.backends.people.passwords import DECOY, BadHash, hash_password, verify
from corpproxy.errors import Place, Problem
from corpproxy.identity.names import fault_of_name, normal_name
from corpproxy.identity.strength import problem_of_password


def set_password(path: Path, name: str, password: str) -> None:
    """Give ``name`` this password; the file is made when there is none.  Raises OSError and ValueError."""
    set_passwords(path, {name: password})


def set_passwords(path: Path, passwords: Mapping[str, str]) -> None:
    """Give all these names their passwords in one edit, or none of them.  Raises OSError and ValueError."""
    if not passwords:
        return
    names = [_good(name) for name in passwords]
    # argon2 lets go of the interpreter's lock: a school's thousand passwords take all cores.
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        hashes = dict(zip(names, threads.map(hash_password, passwords.values()), strict=True))
    with edited_alone(path):
        replace_file(path, with_hashes(read_whole(path) or b"", hashes))


def remove(path: Path, name: str) -> bool:
    """Take ``name`` out of the file; False when it was not there.  Raises OSError."""
    return bool(remove_all(path, [name]))


def remove_all(path: Path, names: Iterable[str]) -> frozenset[str]:
    """Take these names out of the file in one edit; gives those that were there.  Raises OSError."""
    wanted = {normal_name(name) for name in names}
    with edited_alone(path):
        octets = read_whole(path) or b""
        left, gone = without_names(octets, wanted)
        if gone:
            replace_file(path, left)
    return gone


def change_password(path: Path, name: str, old: str, new: str) -> Problem | None:
    """
    Let a person change the own password: ``old`` must be right and ``new`` good enough.

    Gives what is wrong, or None when it is done.  Raises OSError when the file cannot be written.
    """
    name = normal_name(name)
    place = Place(str(path))
    if old == new:
        return Problem(place, "password-unchanged", "the new password is the old one")
    weak = problem_of_password(name, new, place)
    if weak is not None:
        return weak
    hashed = hash_password(new)
    with edited_alone(path):
        octets = read_whole(path) or b""
        # Looked at under the lock: a password that an administrator just set is not put back.
        if not is_right(octets, name, old):
            return Problem(place, "password-wrong", "the old password is wrong")
        replace_file(path, with_hashes(octets, {name: hashed}))
    return None


def is_right(octets: bytes, name: str, password: str) -> bool:
    """Whether name and password belong together in this htpasswd file; an unknown name takes as long."""
    written = read_users(octets, "").hashes.get(normal_name(name))
    try:
        return verify(password, written or DECOY) and written is not None
    except BadHash:
        return False


def _good(name: str) -> str:
    name = normal_name(name)
    fault = fault_of_name(name)
    if fault:
        raise ValueError(f"'{name}': {fault}")
    return name
