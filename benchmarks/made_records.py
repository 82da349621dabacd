"""
A large record that nobody wrote: what a school of two thousand leaves behind in weeks, made in minutes.

People come in sittings: one person asks for many things within a few minutes, mostly at hosts that many like,
through tunnels that last; a few things are blocked, and some people try again.  Lines are chained as the
service chains them.
"""

from __future__ import annotations

import os
import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import accumulate, islice
from pathlib import Path

from corpproxy.audit.proof import SEED_OCTETS, beginning, link
from corpproxy.audit.record import Record, encode_all
from corpproxy.audit.reference import References
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text

PEOPLE = 2_000
HOSTS = 50_000
BEGINS = datetime(2026, 9, 7, 6, 30, tzinfo=UTC).timestamp()
# A school day, then the rest of the day without anybody.
DAY_SECONDS, OPEN_SECONDS = 86_400, 9 * 3600
RECORDS_A_DAY = 1_000_000
SEGMENT_OCTETS = 256 * 1024 * 1024
_BATCH = 4096

_CATEGORIES = ("education", "news", "games", "social_networks", "shopping", "search", "video", "cdn")
_AGENTS = tuple(
    f"Mozilla/5.0 (X11; CrOS x86_64 {version}.0.0) AppleWebKit/537.36 (KHTML, like Gecko) "
    f"Chrome/{version - 14000}.0.0.0 Safari/537.36"
    for version in range(14_120, 14_160)
)


@dataclass(frozen=True, slots=True)
class Made:
    """What was made: how much of it, and something to look for."""

    records: int
    octets: int
    user: str
    reference: str
    since: str
    until: str


def make_records(folder: Path, count: int, seed: int = 1) -> Made:
    """Write so many records into a folder, in segments of the usual size."""
    made = _School(random.Random(seed)).records(count)
    octets = written = 0
    reference = since = until = ""
    for number, (lines, first) in enumerate(_segments(made), 1):
        written += len(first)
        when = datetime.fromisoformat(first[0].at).strftime("%Y%m%dT%H%M%SZ")
        name = f"records-{when}-{number:04d}.jsonl"
        head = beginning(name)
        with (folder / name).open("wb") as file:
            for batch in lines:
                chained, head = link(batch, head, os.urandom(SEED_OCTETS * len(batch)))
                octets += file.write(chained)
        if written >= count // 2 and not reference:
            middle = first[len(first) // 2]
            reference, since = middle.id, middle.at
            until = utc_text(datetime.fromisoformat(since).timestamp() + 600)
    return Made(count, octets, "pupil-0731", reference, since, until)


def _segments(records: Iterator[Record]) -> Iterator[tuple[list[list[bytes]], list[Record]]]:
    """The lines of a segment in batches, and its records; the proof adds some 150 octets to each line."""
    batches: list[list[bytes]] = []
    kept: list[Record] = []
    octets = 0
    while True:
        some = list(islice(records, _BATCH))
        lines, _ = encode_all(some)
        batches.append(lines.split(b"\n")[:-1])
        kept += some
        octets += len(lines) + 150 * len(some)
        if octets >= SEGMENT_OCTETS or len(some) < _BATCH:
            if kept:
                yield batches, kept
            if len(some) < _BATCH:
                return
            batches, kept, octets = [], [], 0


class _School:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._references = References(7)
        weights = accumulate(1 / (rank + 10) for rank in range(HOSTS))
        self._weights = list(weights)
        self._hosts = [
            (f"www{n % 7}.site-{n:05d}.example" if n % 3 else f"site-{n:05d}.example", _CATEGORIES[n % 8])
            for n in range(HOSTS)
        ]
        self._people = [
            (f"pupil-{n:04d}", ("pupils", f"year-{7 + n % 7}"), f"10.{n // 250}.{n % 250}.7")
            for n in range(PEOPLE)
        ]

    def records(self, count: int) -> Iterator[Record]:
        """Records in the order in which exchanges ended."""
        ending: list[tuple[float, int, Record]] = []
        made = 0
        for at, person in self._sittings(count):
            for record in self._exchange(at, person):
                made += 1
                heappush(ending, (at + record.seconds, made, record))
            while ending and ending[0][0] < at:
                yield heappop(ending)[2]
                count -= 1
                if not count:
                    return
        while ending and count:
            yield heappop(ending)[2]
            count -= 1

    def _sittings(self, count: int) -> Iterator[tuple[float, int]]:
        """Moments at which somebody asks for something: who sits down asks some thirty times."""
        chance = self._chance
        sitting: list[tuple[int, int]] = []
        for number in range(2 * count):
            day, place = divmod(number, RECORDS_A_DAY)
            at = BEGINS + day * DAY_SECONDS + place * OPEN_SECONDS / RECORDS_A_DAY
            if len(sitting) < 300:
                sitting.append((chance.randrange(PEOPLE), 10 + int(chance.expovariate(1 / 30))))
            which = int(chance.random() * len(sitting))
            person, left = sitting[which]
            if left:
                sitting[which] = person, left - 1
            else:
                sitting[which] = sitting[-1]
                sitting.pop()
            yield at, person

    def _exchange(self, at: float, person: int) -> Iterator[Record]:
        chance = self._chance
        dice = chance.random()
        host, category = self._hosts[bisect_left(self._weights, chance.random() * self._weights[-1])]
        user, groups, client = self._people[person]
        blocked = category == "games" and dice < 0.3
        tunnel = not blocked and dice < 0.75
        record = Record(
            id=self._references.next(at),
            kind=Kind.EXCHANGE,
            at=utc_text(at),
            result=ResultCode.BLOCKED if blocked else ResultCode.FORWARDED,
            seconds=round(chance.expovariate(5), 6),
            client=client,
            listener="rooms",
            user=user,
            groups=groups,
            groups_from=("file", "file"),
            source="basic",
            method="CONNECT" if tunnel else "GET",
            scheme="https" if tunnel else "http",
            host=host,
            port=443 if tunnel else 80,
            path="" if tunnel else f"/page/{int(dice * 1e6)}",
            categories=(category,),
            lists=("ut1=2026-09-01",),
            policy="8f2c61d09a7b",
            decision="block" if blocked else "allow",
            rule="games wait until after lessons" if blocked else "everything else",
            place="policy.yaml:41:5" if blocked else "policy.yaml:60:5",
            status=403 if blocked else 200,
            received=300 + int(dice * 900),
            sent=2_000 if blocked else int(chance.paretovariate(1.2) * 4000),
            agent=_AGENTS[person % 40],
        )
        if not blocked:
            record.upstream = f"203.0.{person % 113}.{int(dice * 250)}:{record.port}"
            record.connect_ms = int(dice * 40)
            record.first_octet_ms = int(dice * 120)
        if tunnel:
            opening = Record(**{name: getattr(record, name) for name in record.__struct_fields__})
            opening.kind, opening.result, opening.seconds = Kind.OPENING, ResultCode.OPEN, 0.02
            yield opening
            record.kind, record.result = Kind.CLOSING, ResultCode.TUNNELLED
            record.seconds = round(chance.expovariate(1 / 90), 6)
        yield record
