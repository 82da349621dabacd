"""Where the service answers, and as what: the ``listen:`` table."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from corpproxy.errors import NOWHERE, Place


class Purpose(enum.StrEnum):
    """What a listener is for."""

    FORWARD = "forward"
    PORTAL = "portal"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Listener:
    """
    One address and port on which the service answers.

    ``token`` is the file with the token that administrators send; None where none is asked for.
    """

    name: str
    purpose: Purpose
    address: str
    port: int
    token: Path | None = None
    place: Place = NOWHERE

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine reach it."""
        return ip_address(self.address).is_loopback

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"
