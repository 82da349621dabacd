"""Where addresses are: their country and the network that has them, as far as databases tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from corpproxy.errors import NOWHERE, Place


@dataclass(frozen=True, slots=True)
class GeographySettings:
    """The databases (MaxMind DB format) for countries and for network numbers, and where they are named."""

    country: Path | None = None
    asn: Path | None = None
    country_place: Place = NOWHERE
    asn_place: Place = NOWHERE


class Geography(Protocol):
    """Tells of the addresses of one host; None where it is not known of each of them."""

    def countries(self, addresses: Sequence[str]) -> frozenset[str] | None:
        """The countries, as two letters; addresses that are not public have none."""

    def asns(self, addresses: Sequence[str]) -> frozenset[int] | None:
        """The numbers of the networks that have them; addresses that are not public have none."""
