"""
How far a rule counts: for everybody, for some people, only as a rehearsal, and from when until when.

A rule in shadow is asked like any other, but changes nothing: the decision only says what it would have
done.  A canary rule counts for a share of the people and is in shadow for the others.  Who belongs to the
share is told by a hash of the rule's name and the person's, so that it is the same people in every process
and after every restart; a larger share has all the people of a smaller one, and another rule meets others.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from hashlib import sha256

from corpproxy.identity.grants import grantee
from corpproxy.policy.calendar import parse_instant
from corpproxy.policy.model import Facts
from corpproxy.policy.networks import client_address

# A share is counted in hundredths of a percent.
WHOLE_SHARE = 10_000

# People remembered with the rules that count for them, 0.2 KiB each.
MAX_REMEMBERED = 16_384

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Mode(enum.StrEnum):
    """Whether a rule does what it says, or only tells what it would do."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """From one instant to another, the second not included, in POSIX seconds."""

    start: float = -math.inf
    end: float = math.inf

    def contains(self, at: float) -> bool:
        """Whether an instant lies in it."""
        return self.start <= at < self.end

    def covers(self, other: Period) -> bool:
        """Whether all of another lies in it."""
        return self.start <= other.start and other.end <= self.end


ALWAYS = Period()


@dataclass(frozen=True, slots=True)
class Stage:
    """
    How far a rule counts, who answers for it and why it is there.

    ``share`` is that of the people for whom it counts, in hundredths of a percent; for all others it is in
    shadow.
    """

    mode: Mode = Mode.ENFORCE
    share: int = WHOLE_SHARE
    period: Period = ALWAYS
    owner: str = ""
    reason: str = ""

    @property
    def is_shadow(self) -> bool:
        """Whether it counts for nobody."""
        return self.mode is Mode.SHADOW

    @property
    def is_canary(self) -> bool:
        """Whether it counts for some people and not for others."""
        return not self.is_shadow and self.share < WHOLE_SHARE

    @property
    def is_enforced(self) -> bool:
        """Whether it counts for everybody."""
        return not self.is_shadow and not self.is_canary

    @property
    def in_words(self) -> str:
        """``shadow``, ``canary 10%``, or nothing for what counts for everybody."""
        if self.is_shadow:
            return "shadow"
        return f"canary {share_text(self.share)}" if self.is_canary else ""


FOR_EVERYBODY = Stage()


class Periods:
    """The rows of a table that lie in their periods at a time, as bits: row 0 in the lowest."""

    def __init__(self, periods: Sequence[Period]) -> None:
        self._bounded = [(1 << number, period) for number, period in enumerate(periods) if period != ALWAYS]
        self._always = (1 << len(periods)) - 1 - sum(bit for bit, _ in self._bounded)

    @property
    def reads_time(self) -> bool:
        """Whether anything begins or ends."""
        return bool(self._bounded)

    def in_force(self, at: float) -> int:
        """The rows whose period contains an instant."""
        return self._always | sum(bit for bit, period in self._bounded if period.contains(at))

    def next_change(self, at: float) -> float:
        """The first instant after ``at`` at which a period begins or ends; infinity without one."""
        edges = (edge for _, period in self._bounded for edge in (period.start, period.end) if edge > at)
        return min(edges, default=math.inf)


class Stages:
    """
    For whom each rule of a table counts, as bits: rule 0 in the lowest.

    ``are_staged`` is false where every rule counts for everybody.
    """

    def __init__(self, names: Sequence[str], stages: Sequence[Stage]) -> None:
        self.enforced = sum(1 << number for number, stage in enumerate(stages) if stage.is_enforced)
        self._canaries = [
            (1 << number, name, stage.share)
            for number, (name, stage) in enumerate(zip(names, stages, strict=True))
            if stage.is_canary
        ]
        self.are_staged = not all(stage.is_enforced for stage in stages)
        self._remembered: dict[str, int] = {}

    @property
    def has_canaries(self) -> bool:
        """Whether it matters who the person is."""
        return bool(self._canaries)

    def enforced_for(self, facts: Facts) -> int:
        """The rules that count for whoever asks; the others are in shadow."""
        if not self._canaries:
            return self.enforced
        # No name of a person has a colon.
        person = facts.identity.name or f":{facts.client}"
        found = self._remembered.get(person)
        if found is None:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[person] = self._worked_out(person_of(facts))
        return found

    def _worked_out(self, person: str) -> int:
        return self.enforced | sum(
            bit for bit, name, share in self._canaries if is_in_share(name, person, share)
        )


def person_of(facts: Facts) -> str:
    """Who asks, as a canary tells people apart: by name, else by the address of the client."""
    address = client_address(facts.client)
    return grantee(facts.identity, facts.client if address is None else str(address))


def is_in_share(rule: str, person: str, share: int) -> bool:
    """
    Whether a person belongs to the share of a rule, in hundredths of a percent.

    The first 8 octets of SHA-256 over the rule's name, a zero octet and the person's, as a number modulo
    10,000, are below the share.  This must stay so: another hash would be other people.
    """
    digest = sha256(f"{rule}\0{person}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % WHOLE_SHARE < share


def parse_share(written: str) -> int:
    """Read ``10%`` or ``0.5%`` as hundredths of a percent; raises ValueError with what is wrong."""
    match = re.fullmatch(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?\s?%", written.strip())
    if match is None:
        raise ValueError(f"'{written}' is no share of people; write it as 10% or 0.5%")
    share = int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0"))
    if not 0 < share <= WHOLE_SHARE:
        raise ValueError(f"'{written}' is no share of people; it is more than 0% and at most 100%")
    return share


def share_text(share: int) -> str:
    """A share as it is written in the policy."""
    whole, rest = divmod(share, 100)
    return f"{whole}.{rest:02}".rstrip("0") + "%" if rest else f"{whole}%"


def parse_start(written: str, time_zone: tzinfo) -> float:
    """Read when something begins: date and time, or a date for its first instant; raises ValueError."""
    return parse_instant(written, time_zone)


def parse_end(written: str, time_zone: tzinfo) -> float:
    """Read when something ends: date and time, or a date for the end of that day; raises ValueError."""
    if not _DAY.fullmatch(written.strip()):
        return parse_instant(written, time_zone)
    first = parse_instant(written, time_zone)
    try:
        # The next midnight on the wall: a day on which the clock is changed has no 24 hours.
        after = datetime.fromisoformat(written.strip()) + timedelta(days=1)
        return after.replace(tzinfo=time_zone).timestamp()
    except (ValueError, OverflowError):
        return first + 86_400
