"""What the process that does the afterwork of the record is told."""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo

import msgspec


class AfterworkJob(msgspec.Struct, frozen=True):
    """
    What to do it for: a state folder, and the name of the time zone of the site.

    With ``waits`` it is done even where another process does it just now: once that has ended.
    """

    state: str
    zone: str
    waits: bool = False


def zone_name(zone: tzinfo) -> str:
    """The name by which another process finds a time zone again."""
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"
