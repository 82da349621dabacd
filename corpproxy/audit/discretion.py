"""
Discretion: what a record says of a destination whose category is nobody's business.

A site may say by category how much is recorded: all, the host without paths, or the category and the octets
alone.  The strictest level of any category of the destination counts.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec

from corpproxy.audit.proof import GROUPS
from corpproxy.audit.record import Record


class Level(enum.StrEnum):
    """How much is recorded: all, no paths, or the category and the octets alone."""

    FULL = "full"
    HOST = "host"
    CATEGORY = "category"


# What is left out at each level, by the names of fields, and as the record says so.
_PATHS = GROUPS["url"]
_PLACES = (*GROUPS["where"], *_PATHS)
# What is public in a record and tells, with a little patience, which site it was.
_TELLING = ("port", "addresses", "countries", "asns", "media_type", "size", "list", "resolve_ms")

_LEFT_OUT = {Level.HOST: ("path",), Level.CATEGORY: ("host", "path")}


@dataclass(frozen=True, slots=True)
class Discretion:
    """
    The levels of a site, by category; it is false where there are none.

    ``levels`` has no category with `Level.FULL`.
    """

    levels: Mapping[str, Level] = field(default_factory=lambda: MappingProxyType({}))

    def __bool__(self) -> bool:
        """Whether anything is left out of any record."""
        return bool(self.levels)

    def level(self, categories: Iterable[str]) -> Level:
        """The strictest level of some categories."""
        found = {self.levels[one] for one in categories if one in self.levels}
        if Level.CATEGORY in found:
            return Level.CATEGORY
        return Level.HOST if Level.HOST in found else Level.FULL

    def hides(self, categories: Iterable[str]) -> bool:
        """Whether nobody may learn the host from what is kept."""
        return self.level(categories) is Level.CATEGORY

    def apply(self, record: Record, categories: Iterable[str] = ()) -> Record:
        """
        Give a record without what its level leaves out; ``categories`` are further ones that count.

        The categories that hide it stay, and so do those of the record.
        """
        level = self.level((*record.categories, *categories))
        if level is Level.FULL:
            return record
        left_out = tuple(sorted({*record.left_out, *_LEFT_OUT[level]}))
        if level is Level.HOST:
            return msgspec.structs.replace(record, left_out=left_out, **_empty(_PATHS))
        return msgspec.structs.replace(record, left_out=left_out, **_empty((*_PLACES, *_TELLING)))


_DEFAULTS: dict[str, Any] = {
    one.name: one.default for one in msgspec.structs.fields(Record) if one.default is not msgspec.NODEFAULT
}
_EMPTY = {name: _DEFAULTS[name] for name in (*_PLACES, *_TELLING)}


def _empty(names: Iterable[str]) -> dict[str, Any]:
    return {name: _EMPTY[name] for name in names}


NO_DISCRETION = Discretion()


def discretion_of(levels: Mapping[str, Level], aliases: Mapping[str, Iterable[str]]) -> Discretion:
    """Give the levels of a site, with all names that lists have for a category."""
    every: dict[str, Level] = {}
    for category, level in levels.items():
        for name in {category, *aliases.get(category, ())}:
            if level is not Level.FULL:
                every[name] = Level.CATEGORY if every.get(name) is Level.CATEGORY else level
    return Discretion(MappingProxyType(every))
