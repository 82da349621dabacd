"""Rates and amounts of octets as the policy, the command line and pages write them."""

from __future__ import annotations

import re

_OCTETS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
# Lines are sold in bits, and in thousands.
_BITS = {"kbit": 125, "Mbit": 125_000, "Gbit": 125_000_000}
# Before the unit there may be a space, as there is where amounts are shown: what is shown can be written.
_AMOUNT = re.compile(r"([0-9]{1,9}) ?(KiB|MiB|GiB|TiB)")
_RATE = re.compile(r"([0-9]{1,9}) ?(B|KiB|MiB|GiB|kbit|Mbit|Gbit)/s")

# Below it no page ever comes; above it there is no line.
LEAST_RATE = 1024
MOST_RATE = 100 * (1 << 30)

RATE_PATTERN = f"^{_RATE.pattern}$"


def parse_rate(written: str) -> int:
    """
    Give octets a second.

    :raises ValueError: with a sentence that says what is wrong.
    """
    match = _RATE.fullmatch(written)
    if match is None:
        raise ValueError(f"a rate is written as 256KiB/s, 10MiB/s or 100Mbit/s, not '{written}'")
    rate = int(match[1]) * (_BITS.get(match[2]) or _OCTETS[match[2].removesuffix("B") and match[2]])
    if rate < LEAST_RATE:
        raise ValueError(f"a rate of {written} lets no page through; the least is {rate_text(LEAST_RATE)}")
    if rate > MOST_RATE:
        raise ValueError(f"no line carries {written}; the most is {rate_text(MOST_RATE)}")
    return rate


def rate_text(rate: float) -> str:
    """A rate for people, as the policy may have it, too: in the largest unit that divides it."""
    octets = round(rate)
    for unit in ("GiB", "MiB", "KiB"):
        if octets >= _OCTETS[unit] and octets % _OCTETS[unit] == 0:
            return f"{octets // _OCTETS[unit]} {unit}/s"
    for unit in ("Gbit", "Mbit", "kbit"):
        if octets >= _BITS[unit] and octets % _BITS[unit] == 0:
            return f"{octets // _BITS[unit]} {unit}/s"
    return f"{octets} B/s"


def parse_amount(written: str) -> int:
    """
    Give octets.

    :raises ValueError: with a sentence that says what is wrong.
    """
    match = _AMOUNT.fullmatch(written)
    if match is None or not int(match[1]):
        raise ValueError(f"an amount is written as 500MiB or 2GiB, not '{written}'")
    return int(match[1]) * _OCTETS[match[2]]


def amount_text(octets: int) -> str:
    """Octets for people: in the largest unit of which there is at least one, with three digits or so."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if octets >= _OCTETS[unit]:
            amount = octets / _OCTETS[unit]
            return f"{amount:.{1 if amount < 100 else 0}f}".removesuffix(".0") + f" {unit}"
    return f"{octets} B"


def octets_text(octets: int) -> str:
    """Octets for columns of a table: with one digit behind the point, where there are few before it."""
    amount, unit = float(octets), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    if unit == "B":
        return f"{octets} B"
    return f"{amount:.1f} {unit}" if amount < 100 else f"{amount:.0f} {unit}"


def rates_in_words(download: int, upload: int) -> str:
    """What a limit lets through each way, for people; empty where it holds neither."""
    if download == upload:
        return f"{rate_text(download)} each way" if download else ""
    ways = ((download, "down"), (upload, "up"))
    return ", ".join(f"{rate_text(rate)} {way}" for rate, way in ways if rate)
