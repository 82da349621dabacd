"""
Databases of countries and networks in the format of MaxMind, whoever makes them.

The library that reads them is imported only where a policy names such a file.  A file is mapped into memory
and stays as it was opened until the next reload, so that it must be replaced by a rename, as update programs
do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from corpproxy.destination.addresses import address_class
from corpproxy.destination.geography import GeographySettings
from corpproxy.destination.model import AddressClass
from corpproxy.errors import Place, Problem

# Addresses remembered with what is known of them, 0.2 KiB each.
MAX_REMEMBERED = 16_384

_MISSING = "databases of addresses need a library more; run: pip install 'corpproxy[geoip]'"


class UnreadableDatabase(Exception):
    """A file is no database that can be asked."""


class Databases:
    """The databases of one policy; raises UnreadableDatabase for a file that is none."""

    def __init__(self, settings: GeographySettings) -> None:
        self._countries = _Column(settings.country, _country_of)
        self._asns = _Column(settings.asn, _asn_of)

    def countries(self, addresses: Sequence[str]) -> frozenset[str] | None:
        """The countries of addresses."""
        return self._countries.of(addresses)

    def asns(self, addresses: Sequence[str]) -> frozenset[int] | None:
        """The numbers of the networks that have addresses."""
        return self._asns.of(addresses)


class _Column:
    """One database, and what is read in its entries."""

    def __init__(self, path: Path | None, read: Callable[[Any], Any]) -> None:
        self._reader = None if path is None else _open(path)
        self._read = read
        self._remembered: dict[str, Any] = {}

    def of(self, addresses: Sequence[str]) -> frozenset[Any] | None:
        found = set()
        for address in addresses:
            if address_class(address) is not AddressClass.PUBLIC:
                continue
            value = self._look_up(address)
            if value is None:
                return None
            found.add(value)
        return frozenset(found)

    def _look_up(self, address: str) -> Any:
        if self._reader is None:
            return None
        if address not in self._remembered:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            try:
                entry = self._reader.get(address)
            except Exception:
                # A damaged tree shows only where it is walked; what cannot be read is not known.
                entry = None
            self._remembered[address] = self._read(entry) if isinstance(entry, dict) else None
        return self._remembered[address]


def geography_problems(settings: GeographySettings) -> Iterator[Problem]:
    """Say which databases cannot be asked, each where the policy names it."""
    for path, place in ((settings.country, settings.country_place), (settings.asn, settings.asn_place)):
        if path is not None:
            yield from _problem(path, place)


def open_geography(settings: GeographySettings) -> Databases | None:
    """The databases of a policy; None where none are named, or one cannot be read: then nothing is known."""
    if settings.country is None and settings.asn is None:
        return None
    try:
        return Databases(settings)
    except UnreadableDatabase:
        return None


def _problem(path: Path, place: Place) -> Iterator[Problem]:
    try:
        _open(path)
    except UnreadableDatabase as error:
        yield Problem(place, "bad-geography", str(error))


def _open(path: Path) -> Any:
    try:
        import maxminddb
    except ImportError:
        raise UnreadableDatabase(_MISSING) from None
    try:
        return maxminddb.open_database(path)
    except FileNotFoundError:
        raise UnreadableDatabase(f"there is no file {path}") from None
    except OSError as error:
        raise UnreadableDatabase(f"cannot read {path}: {error.strerror or error}") from None
    except (maxminddb.InvalidDatabaseError, ValueError) as error:
        raise UnreadableDatabase(f"{path} is no database of addresses: {error}") from None


def _country_of(entry: dict[str, Any]) -> str | None:
    """Where the address is used; where that is not told, where it is registered."""
    for name in ("country", "registered_country"):
        code = (entry.get(name) or {}).get("iso_code")
        if code:
            return str(code).upper()
    # The lean format of some makers.
    code = entry.get("country_code")
    return str(code).upper() if code else None


def _asn_of(entry: dict[str, Any]) -> int | None:
    number = entry.get("autonomous_system_number", entry.get("asn"))
    digits = str(number).upper().removeprefix("AS")
    return int(digits) if digits.isdigit() else None
