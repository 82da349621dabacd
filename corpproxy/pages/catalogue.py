"""The words of the pages in one language, read from ``words/``."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any


@dataclass(frozen=True, slots=True)
class Catalogue:
    """
    The words of one language: sentences by dotted key, with ``{names}`` for what is put in.

    The files are part of the program and a test keeps their keys alike, so that a missing key is a bug
    (KeyError).
    """

    language: str
    texts: Mapping[str, str]

    def say(self, key: str, **values: object) -> str:
        """Give a sentence with the values put in; the values themselves are never read as sentences."""
        text = self.texts[key]
        return text.format_map(values) if values else text

    def category(self, name: str) -> str:
        """Give the label of a category: translated where it is a known one, else its name with spaces."""
        return self.texts.get(f"category.{name}") or name.replace("_", " ")

    def time(self, at: float, zone: tzinfo) -> str:
        """Give a time as people write it; POSIX seconds that are no time give a dash."""
        try:
            local = datetime.fromtimestamp(at, zone)
        except (OverflowError, ValueError, OSError):
            return "–"
        return self.say(
            "time.form",
            day=local.day,
            month=self.texts[f"month.{local.month}"],
            year=local.year,
            clock=f"{local:%H:%M}",
        )

    def day(self, day: date) -> str:
        """Give a day as people write it, with its weekday."""
        return self.say(
            "time.day",
            weekday=self.texts[f"weekday.{day.isoweekday()}"],
            day=day.day,
            month=self.texts[f"month.{day.month}"],
        )

    def duration(self, seconds: int) -> str:
        """Give a duration in the largest unit that it fills: ``2 hours``, ``90 minutes``."""
        for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
            if seconds >= length and seconds % length == 0:
                return self._amount(unit, seconds // length)
        return self._amount("minute", max(1, round(seconds / 60)))

    def _amount(self, unit: str, count: int) -> str:
        return self.say(f"duration.{unit if count == 1 else unit + 's'}", count=count)


def read_catalogue(language: str, load: Callable[[str], str]) -> Catalogue:
    """Read the catalogue of one language."""
    return Catalogue(language, _flat(tomllib.loads(load(f"words/{language}.toml")), ""))


def _flat(table: Mapping[str, Any], prefix: str) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
