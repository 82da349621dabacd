"""
What a report of a large school costs, and how large it is: ``python -m benchmarks.reports [FOLDER]``.

The sums are made up: 2,000 people in 80 classes, on 20,000 hosts, over 30 school days of eight hours.
Reports of the last week and of the month are made of them in each format.  For each is told the processor
time that it took, from the sums to its last octet, and how many octets it has.  With a folder the reports
are kept there, to be looked at.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from itertools import accumulate
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.lists import names
from corpproxy.accounting.rollup import Sums
from corpproxy.backends.reports.figures import About, read_figures
from corpproxy.backends.reports.make import WRITERS
from corpproxy.backends.store.rollup import Progress, add_sums
from corpproxy.backends.store.schema import open_store, transaction
from corpproxy.policy.days import Days
from corpproxy.reports.period import Every, period_with

PEOPLE, CLASSES, HOSTS, DAYS, HOURS = 2_000, 80, 20_000, 30, 8
# Hosts that one class asks for in an hour.
HOSTS_OF_HOUR = 60
CATEGORIES = (("news",), ("games", "social_networks"), ("homework",), ("ads", "tracking"), ())
LAST = date(2026, 11, 30)
CALENDAR = Days(ZoneInfo("Europe/London"), 240)


def main(folder: Path | None) -> None:
    """Make the sums, make the reports, print what they took."""
    with tempfile.TemporaryDirectory(prefix="corpproxy-reports-") as there:
        store = Path(there) / "corpproxy.db"
        began = time.process_time()
        with closing(open_store(store, time.time())) as connection:
            for number, sums in enumerate(_days()):
                with transaction(connection):
                    add_sums(connection, f"day {number}", Progress(), sums, Progress(1))
            rows = sum(
                connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
                for table in ("hourly_person", "hourly_place", "hourly_refusal")
            )
            seconds = time.process_time() - began
            print(f"{rows:,} sums in {store.stat().st_size / 2**20:,.0f} MiB, made in {seconds:.0f} s")
            for every in (Every.WEEK, Every.MONTH):
                about = About("Hillside", period_with(every, LAST - timedelta(days=1), CALENDAR), time.time())
                began = time.process_time()
                figures = read_figures(connection, about)
                read = time.process_time() - began
                for name, write in WRITERS.items():
                    began = time.process_time()
                    text = write(figures).encode()
                    took = read + time.process_time() - began
                    print(f"{every.value:6} {name:5} {took:6.2f} s  {len(text) / 1024:8.1f} KiB")
                    if folder is not None:
                        (folder / f"{every.value}.{name}").write_bytes(text)


def _days() -> Iterator[Sums]:
    """The sums of each day."""
    chance = random.Random(7)
    hosts = list(names(HOSTS))
    # A few hosts have most of what is asked for.
    weights = list(accumulate(1 / (place + 3) for place in range(HOSTS)))
    for ago in reversed(range(DAYS)):
        day = LAST - timedelta(days=ago)
        sums = Sums()
        for hour in range(HOURS):
            at = int(CALENDAR.beginning(day)) + (4 + hour) * 3_600
            _add_hour(sums, at, chance, hosts, weights)
        yield sums


def _add_hour(sums: Sums, at: int, chance: random.Random, hosts: list[str], weights: list[float]) -> None:
    for number in range(PEOPLE):
        groups = _groups(number % CLASSES)
        count = chance.randrange(5, 400)
        octets = count * chance.randrange(2_000, 90_000)
        sums.people[at, _name(number), groups, "forwarded"] = [count, count * 700, octets]
        if chance.random() < 0.2:
            place = chance.randrange(50)
            refused = chance.randrange(1, 6)
            key = at, _name(number), groups, hosts[place], "games wait", "blocked"
            sums.people[at, _name(number), groups, "blocked"] = [refused, refused * 700, refused * 4_000]
            sums.refusals[key] = refused
    for number in range(CLASSES):
        for place in set(chance.choices(range(HOSTS), cum_weights=weights, k=HOSTS_OF_HOUR)):
            count = chance.randrange(1, 60)
            key_of_place = at, _groups(number), hosts[place], CATEGORIES[place % 5], "people", "forwarded"
            sums.places[key_of_place] = [count, count * 700, count * 40_000]


def _groups(number: int) -> tuple[str, ...]:
    return f"class-{number:02d}", "pupils"


def _name(number: int) -> str:
    return f"person {number:04d}"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
