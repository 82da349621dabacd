"""Numbers of octets as people read them."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def human(octets: int) -> str:
    """Write a number of octets with three digits or so and a unit."""
    amount = float(octets)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            break
        amount /= 1024
    if unit == "B":
        return f"{octets} B"
    return f"{amount:.1f} {unit}" if amount < 100 else f"{amount:.0f} {unit}"
