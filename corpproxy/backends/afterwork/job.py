"""What the process that does the afterwork of the record is told."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from corpproxy.accounting.store_address import StoreAddress, in_state_folder
from corpproxy.policy.days import DAY_BEGINS
from corpproxy.reports.scheduled import MailSettings, Scheduled


class AfterworkJob(msgspec.Struct, frozen=True):
    """
    What to do it for: a state folder, and the name of the time zone of the site.

    ``reports`` are those of the policy of the ``site``, which ``mail`` takes; ``day_begins`` is in minutes
    after midnight.
    ``store`` is the one of the policy; where it is left out, the file in the state folder.
    With ``waits`` it is done even where another process does it just now: once that has ended.
    """

    state: str
    zone: str
    waits: bool = False
    site: str = ""
    reports: tuple[Scheduled, ...] = ()
    mail: MailSettings | None = None
    store: StoreAddress | None = None
    day_begins: int = DAY_BEGINS

    @property
    def address(self) -> StoreAddress:
        """Where the store is."""
        return self.store or in_state_folder(Path(self.state))


def encoded(job: AfterworkJob) -> bytes:
    """Write a job down."""
    return msgspec.json.encode(job, enc_hook=str)


def decoded(octets: bytes) -> AfterworkJob:
    """Read a job back."""
    return msgspec.json.decode(octets, type=AfterworkJob, dec_hook=lambda kind, written: kind(written))


def zone_name(zone: tzinfo) -> str:
    """The name by which another process finds a time zone again."""
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"
