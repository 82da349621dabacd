"""The lines of a groups file, ``name: group, group``: read, and edited so that everything else stays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from corpproxy.errors import Place, Problem
from corpproxy.identity.names import fault_of_name, normal_name

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Groups:
    """What a groups file says: each name with its groups, and what is wrong with lines that were left out."""

    of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_groups(octets: bytes, file: str) -> Groups:
    """
    Read a groups file: ``name: group, group`` lines, comments and empty lines.

    A name that comes twice has the groups of all its lines.  An odd line is a problem at its place and is
    left out whole: half of somebody's groups may let them do more than all of them would.
    """
    found: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for number, line in enumerate(_lines(octets), 1):
        try:
            entry = _entry(line)
        except ValueError as odd:
            problems.append(
                Problem(Place(file, number), "groups-line", f"{odd}; the line is left out", "warning")
            )
            continue
        if entry is not None:
            name, groups = entry
            found[name] = tuple(sorted({*found.get(name, ()), *groups}))
    return Groups(found, tuple(problems))


def with_groups(octets: bytes, groups: Mapping[str, Collection[str]]) -> bytes:
    """Give the file with these groups by name, each in the old place of its name or at the end."""
    left = {name: _written(name, of) for name, of in groups.items()}
    lines: list[bytes] = []
    for line in _kept(octets):
        name = _name_of(line)
        if name not in groups:
            lines.append(line)
        elif name in left:
            lines.append(left.pop(name))
    return b"".join([*lines, *left.values()])


def _lines(octets: bytes) -> list[bytes]:
    return octets.removeprefix(_BYTE_ORDER_MARK).split(b"\n")


def _kept(octets: bytes) -> list[bytes]:
    lines = _lines(octets)
    if not lines[-1]:
        lines.pop()
    return [line + b"\n" for line in lines]


def _written(name: str, groups: Collection[str]) -> bytes:
    """A name without groups has no line."""
    return f"{name}: {', '.join(groups)}\n".encode() if groups else b""


def _entry(line: bytes) -> tuple[str, tuple[str, ...]] | None:
    """Give name and groups of a line, None for one that says nothing; raises ValueError for an odd one."""
    line = line.strip()
    if not line or line.startswith(b"#"):
        return None
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the line is not UTF-8; save the file as UTF-8") from None
    name, colon, rest = text.partition(":")
    if not colon:
        raise ValueError("the line is not 'name: group, group'")
    groups = tuple(normal_name(group.strip()) for group in rest.split(",") if group.strip())
    return _good(name.strip()), tuple(_good(group) for group in groups)


def _good(written: str) -> str:
    name = normal_name(written)
    fault = fault_of_name(name)
    if fault:
        raise ValueError(f"'{name}': {fault}" if name else fault)
    return name


def _name_of(line: bytes) -> str:
    """Give the name a line is for, also where its groups are odd; empty for other lines."""
    head = line.partition(b":")[0].strip()
    if not head or head.startswith(b"#") or b":" not in line:
        return ""
    return normal_name(head.decode("utf-8", "replace"))
