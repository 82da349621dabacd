"""The lines of an htpasswd file: read, and edited so that everything else in it stays as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from corpproxy.backends.people.passwords import DECOY, BadHash, scheme_of
from corpproxy.errors import Place, Problem
from corpproxy.identity.names import has_control_characters, normal_name

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Users:
    """
    What an htpasswd file says: each name with its hash, and what is wrong with lines that were left out.

    ``decoy`` is a hash that costs what most hashes of the file cost: an unknown name is checked against
    it, so that time does not tell which names exist.
    """

    hashes: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    decoy: str = DECOY

    def changed_since(self, before: Users) -> frozenset[str]:
        """Give the names whose lines came, went or are different."""
        names = self.hashes.keys() | before.hashes.keys()
        return frozenset(name for name in names if self.hashes.get(name) != before.hashes.get(name))


def read_users(octets: bytes, file: str) -> Users:
    """
    Read an htpasswd file: ``name:hash`` lines, comments and empty lines.

    What follows a second colon is left alone, as Apache does.  The first line of a name counts, also when its
    hash is one we refuse.  An odd line is a problem at its place and fails no other.
    """
    reading = _Reading(file)
    for number, line in enumerate(octets.removeprefix(_BYTE_ORDER_MARK).split(b"\n"), 1):
        reading.take(number, line)
    return Users(reading.hashes, tuple(reading.problems), reading.decoy())


def with_hashes(octets: bytes, hashes: Mapping[str, str]) -> bytes:
    """Give the file with these hashes by name, each in the old place of its name or at the end."""
    left = dict(hashes)
    lines: list[bytes] = []
    for line in _kept(octets):
        name = _name_of(line)
        if name not in hashes:
            lines.append(line)
        elif name in left:
            end = b"\r\n" if line.endswith(b"\r\n") else b"\n"
            lines.append(f"{name}:{left.pop(name)}".encode() + end)
    lines.extend(f"{name}:{written}\n".encode() for name, written in left.items())
    return b"".join(lines)


def without_names(octets: bytes, names: Collection[str]) -> tuple[bytes, frozenset[str]]:
    """
    Give the file without these names, and those of them that it had.

    All lines of a name go, or a later one would begin to count.
    """
    lines = [(_name_of(line), line) for line in _kept(octets)]
    left = b"".join(line for name, line in lines if not name or name not in names)
    return left, frozenset(name for name, _ in lines if name and name in names)


def names_in(octets: bytes) -> frozenset[str]:
    """Give all names that have a line, also those whose line is not taken."""
    return frozenset(name for line in _kept(octets) if (name := _name_of(line)))


class _Odd(Exception):
    def __init__(self, code: str, said: str) -> None:
        self.code = code
        self.said = said


class _Reading:
    """One pass over a file, line by line."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._seen: set[str] = set()
        self._schemes: Counter[str] = Counter()
        self._first_of: dict[str, str] = {}
        self.hashes: dict[str, str] = {}
        self.problems: list[Problem] = []

    def take(self, number: int, line: bytes) -> None:
        try:
            name, written = _entry(line)
            if name:
                self._keep(name, written)
        except _Odd as odd:
            self.problems.append(Problem(Place(self._file, number), odd.code, odd.said, "warning"))

    def decoy(self) -> str:
        commonest = self._schemes.most_common(1)
        return self._first_of[commonest[0][0]] if commonest else DECOY

    def _keep(self, name: str, written: str) -> None:
        if name in self._seen:
            said = f"'{name}' stands in the file before; the first line counts, remove this one"
            raise _Odd("htpasswd-duplicate", said)
        self._seen.add(name)
        scheme = _scheme(name, written)
        self._schemes[scheme] += 1
        self._first_of.setdefault(scheme, written)
        self.hashes[name] = written


def _entry(line: bytes) -> tuple[str, str]:
    """Give name and hash of a line; an empty name for a line that says nothing."""
    line = line.strip(b" \t\r")
    if not line or line.startswith(b"#"):
        return "", ""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise _Odd(
            "htpasswd-not-utf-8", "the line is not UTF-8 and is left out; save the file as UTF-8"
        ) from None
    name, colon, rest = text.partition(":")
    if not colon or not name:
        raise _Odd("htpasswd-line", "the line is not 'name:hash' and is left out")
    if has_control_characters(text):
        raise _Odd("htpasswd-line", "the line has control characters and is left out")
    return normal_name(name), rest.partition(":")[0].strip()


def _scheme(name: str, written: str) -> str:
    try:
        return scheme_of(written)
    except BadHash as bad:
        said = (
            f"the password of '{name}' is left out: {bad}; set it anew with 'corpproxy users passwd {name}'"
        )
        raise _Odd("htpasswd-hash", said) from None


def _kept(octets: bytes) -> list[bytes]:
    """The lines with their ends, the last one ended too, so that a line can follow it."""
    lines = octets.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line + b"\n" for line in lines]


def _name_of(line: bytes) -> str:
    try:
        return _entry(line.rstrip(b"\n"))[0]
    except _Odd:
        return ""
