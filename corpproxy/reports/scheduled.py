"""Reports that the policy asks for: what, when, and where to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from corpproxy.errors import NOWHERE, Place
from corpproxy.policy.days import Days
from corpproxy.reports.period import Every, Period, last_over

# Six in the morning: the day is over, and nobody has come yet.
DEFAULT_AT_MINUTES = 6 * 60
MINUTES_OF_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class MailSettings:
    """
    The server that takes mail, and who it is from.

    ``starts_plain``: TLS is asked for on the plain connection (STARTTLS); else it is there from the first
    octet.  Without TLS nothing is sent.  ``password`` is a file, ``authorities`` one of certificates.
    """

    host: str
    port: int
    sender: str
    starts_plain: bool = True
    user: str = ""
    password: Path | None = None
    authorities: Path | None = None


@dataclass(frozen=True, slots=True)
class Scheduled:
    """
    One report that the policy asks for.

    ``at_minutes`` is the time of the day behind the period; no report is made before its period is over.
    ``formats`` are names of formats.
    """

    name: str
    every: Every
    at_minutes: int = DEFAULT_AT_MINUTES
    group: str = ""
    top: int = 20
    formats: tuple[str, ...] = ("html",)
    folder: Path | None = None
    mail: tuple[str, ...] = ()
    place: Place = field(default=NOWHERE, compare=False)

    def due(self, now: float, days: Days) -> Period:
        """The last period whose report should be there at a moment."""
        period = last_over(self.every, now, days)
        return period if now >= self.due_at(period) else period.before

    def due_at(self, period: Period) -> float:
        """When the report of a period is to be made, in POSIX seconds."""
        day = datetime(period.behind.year, period.behind.month, period.behind.day, tzinfo=period.zone)
        return max(period.ends, (day + timedelta(minutes=self.at_minutes)).timestamp())

    def file_name(self, period: Period, ending: str) -> str:
        """The name of its file in a folder: letters, digits, ``-``, ``_`` and dots, whatever it is called."""
        plain = "".join(one if one.isascii() and one.isalnum() else "-" for one in self.name.lower())
        return f"{plain.strip('-') or 'report'}-{period.name}.{ending}"
