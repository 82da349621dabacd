"""How a list is fetched, and what holds an update of it back, as the policy says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

DAY_SECONDS = 86_400.0

# A publisher's server that is down over a weekend is no news; three refreshes in a row are.
STALE_REFRESHES = 3.0


@dataclass(frozen=True, slots=True)
class Brake:
    """
    What holds an update back until somebody accepts it; shares are between 0 and 1, and may be more to grow.

    ``shrink`` and ``grow`` are shares of the entries that the list has, ``blocks`` of last week's exchanges
    and ``people`` of last week's people that the update would newly refuse.
    """

    shrink: float = 0.25
    grow: float = 0.5
    blocks: float = 0.002
    people: float = 0.1


@dataclass(frozen=True, slots=True)
class Protected:
    """
    Names that an update must not begin to refuse without being asked about.

    ``domains`` are names with all below them, ``categories`` those whose names count too, ``top_hosts`` is
    how many of last month's most asked for hosts do.
    """

    domains: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    top_hosts: int = 100


UNPROTECTED = Protected()


@dataclass(frozen=True, slots=True)
class Fetch:
    """
    Where a list is fetched from and how it is proved right.

    ``urls`` are tried in their order.  ``checksum`` is the URL of a file of checksums, or ``sha256:`` and the
    digest itself; ``signature`` is the URL of a signature by the owner of ``public_key`` (minisign, signify).
    ``refresh`` is how often, ``stale`` after how long without a good answer the list counts as stale.
    ``keep`` versions stay.  ``size`` is the most that is fetched, in octets.  ``proxy`` is a URL, or empty;
    ``authorities`` a file of certificates in the place of those of the system.
    """

    urls: tuple[str, ...]
    checksum: str = ""
    signature: str = ""
    public_key: str = ""
    refresh: float = DAY_SECONDS
    stale: float = DAY_SECONDS * STALE_REFRESHES
    keep: int = 3
    size: int = 512 * 1024 * 1024
    proxy: str = ""
    authorities: Path | None = None
    brake: Brake = field(default_factory=Brake)
