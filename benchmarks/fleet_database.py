"""
What a database of a fleet can do: measured on a real PostgreSQL that is made for it and thrown away.

Its disk is written for good (``fsync`` is on), and each node is a process of its own that does, with the
code of the proxy, what a node does all day: it adds sums of usage, takes turns of quotas, and reads what
others changed.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from corpproxy.accounting.common import NodeAsked
from corpproxy.accounting.ledger import Usage
from corpproxy.accounting.store_address import StoreAddress

# Rows in a batch, and members in a turn: few and many, so that what each costs can be told from the rest.
FEW_ROWS, MANY_ROWS = 50, 800
FEW_MEMBERS, MANY_MEMBERS = 20, 300
NODES = (1, 2, 4)
# How long each is measured.
SECONDS = 1.5
PATIENCE_SECONDS = 30.0
ALL_OCTETS = 1 << 50


@dataclass(frozen=True, slots=True)
class Measured:
    """
    What it can do: milliseconds of a batch of usage, of a turn of quotas, and of reading what others changed,
    for itself and for each row or member in it; statements of each; and what a second brings, by how many
    nodes do it at a time.

    ``usage_rows`` and ``turns`` (of `MANY_MEMBERS` members) are those of a second.  ``row_octets`` is what a
    row of usage takes on the disk with its indices.
    """

    usage_ms: float
    usage_row_ms: float
    turn_ms: float
    turn_member_ms: float
    usage_statements: float
    usage_row_statements: float
    turn_statements: float
    turn_member_statements: float
    usage_rows: dict[str, float]
    turns: dict[str, float]
    follow_ms: float
    follow_row_ms: float
    row_octets: float
    is_synced: bool = True


class NoPostgresql(Exception):
    """There is no PostgreSQL on this machine."""


@contextmanager
def postgresql(*, is_synced: bool = True) -> Iterator[tuple[str, Path]]:
    """Give the address of an empty database, and the file of what the server says."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
    if not found:
        raise NoPostgresql("there is no PostgreSQL in /usr/lib/postgresql: install the package postgresql")
    folder = Path(tempfile.mkdtemp(prefix="corpproxy-fleet-"))
    # It does not run as root.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    make = [f"{found[0]}/initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    subprocess.run(make, check=True, capture_output=True, user=user, cwd=folder)
    command = [
        f"{found[0]}/postgres", "-D", f"{folder}/data", "-p", str(port), "-k", "",
        "-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=256MB", "-c", "max_wal_size=2GB",
        "-c", f"fsync={'on' if is_synced else 'off'}",
    ]  # fmt: skip
    with (folder / "out").open("ab") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, user=user, cwd=folder)
    try:
        address = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        _wait_for(address)
        yield address, folder / "out"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def measure(seconds: float = SECONDS, nodes: Sequence[int] = NODES, *, is_synced: bool = True) -> Measured:
    """Measure a database."""
    with postgresql(is_synced=is_synced) as (address, said), tempfile.TemporaryDirectory() as state:
        # The first makes the tables.
        few = _together(address, state, 1, "usage", FEW_ROWS, seconds)[0]
        rows = {
            str(count): sum(_together(address, state, count, "usage", MANY_ROWS, seconds)) * MANY_ROWS
            for count in nodes
        }
        turns = {
            str(count): sum(_together(address, state, count, "turns", MANY_MEMBERS, seconds))
            for count in nodes
        }
        few_turns = _together(address, state, 1, "turns", FEW_MEMBERS, seconds)[0]
        follow = [
            _together(address, state, 1, "follow", count, seconds)[0] for count in (FEW_MEMBERS, MANY_MEMBERS)
        ]
        octets = _octets_of_a_row(address)
        counted = [
            _statements(address, said, state, what, count)
            for what, count in (
                ("usage", FEW_ROWS), ("usage", MANY_ROWS), ("turns", FEW_MEMBERS), ("turns", MANY_MEMBERS)
            )
        ]  # fmt: skip
    usage, usage_row = _line(FEW_ROWS, 1000 / few, MANY_ROWS, 1000 * MANY_ROWS / rows["1"])
    turn, member = _line(FEW_MEMBERS, 1000 / few_turns, MANY_MEMBERS, 1000 / turns["1"])
    return Measured(
        usage, usage_row, turn, member,
        *_line(FEW_ROWS, counted[0], MANY_ROWS, counted[1]),
        *_line(FEW_MEMBERS, counted[2], MANY_MEMBERS, counted[3]),
        rows, turns, *_line(FEW_MEMBERS, 1000 / follow[0], MANY_MEMBERS, 1000 / follow[1]), octets, is_synced,
    )  # fmt: skip


def _line(few: int, at_few: float, many: int, at_many: float) -> tuple[float, float]:
    """What it is for itself, and for each."""
    each = max(0.0, (at_many - at_few) / (many - few))
    return max(0.0, at_few - each * few), each


def _together(
    address: str, state: str, nodes: int, what: str, count: int, seconds: float
) -> list[float]:  # fmt: skip
    """How many batches or turns each of so many nodes has a second, all at the same time."""
    command = [sys.executable, "-m", "benchmarks.fleet_database", address, state, what, str(count)]
    running = [
        subprocess.Popen([*command, str(seconds), str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(nodes)
    ]
    return [float(one.communicate(timeout=seconds + PATIENCE_SECONDS)[0]) for one in running]


def _statements(address: str, said: Path, state: str, what: str, count: int) -> int:
    """How many statements it takes, as the database logs them."""
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        for value in ("all", "none"):
            connection.execute(f"ALTER SYSTEM SET log_statement = '{value}'")
            connection.execute("SELECT pg_reload_conf()")
            time.sleep(0.3)
            if value == "all":
                before = said.stat().st_size
                done = round(_together(address, state, 1, what, count, 0.0)[0])
                time.sleep(0.1)
                text = said.read_bytes()[before:].decode()
    return (text.count("statement:") + text.count("execute ")) // max(done, 1)


def _octets_of_a_row(address: str) -> float:
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET search_path = corpproxy")
        connection.execute("VACUUM usage")
        found = connection.execute("SELECT pg_total_relation_size('usage'), count(*) FROM usage").fetchone()
    assert found is not None
    return float(found[0]) / max(1, found[1])


def _wait_for(address: str) -> None:
    import psycopg

    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            psycopg.connect(address).close()
            return
        except psycopg.Error:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


# In a process of its own: one node.


def _node(address: str, state: str, what: str, count: int, seconds: float, number: int) -> float:
    """Do it for so long, or once; how often that was in a second, or 1."""
    place = StoreAddress(database=address, state=f"{state}/node{number}")
    Path(place.state).mkdir(exist_ok=True)
    once = {
        "usage": lambda: _usage(place, count, number),
        "turns": lambda: _turns(place, count),
        "follow": lambda: _follow(place, count),
    }[what]()
    if not seconds:
        once()
        return 1.0
    for _ in range(3):
        once()
    began, done, counted = time.monotonic(), 0, 0.0
    while time.monotonic() - began < seconds:
        counted += once()
        done += 1
    return done / counted


def _usage(place: StoreAddress, count: int, number: int) -> Callable[[], float]:
    from corpproxy.backends.store.outage import PatientDatabase

    database, chance, now = PatientDatabase(place), random.Random(number), time.time()

    def once() -> float:
        # People ask for few hosts again and again, and for some others.
        batch = [
            Usage(
                int(now) // 60 * 60, f"person{number}-{chance.randrange(3000)}@hillside.example", ("staff",),
                ("news",), f"www{int(chance.paretovariate(0.8)) % 5000}.example.com", 500, 12_000, 1,
                "10.1.2.3", "everybody",
            )
            for _ in range(count)
        ]  # fmt: skip
        return _seconds(lambda: database.add_usage(batch))

    return once


def _turns(place: StoreAddress, count: int, run: str = "") -> Callable[[], float]:
    from corpproxy.backends.store.lending import LendingDatabase

    database, run, until = LendingDatabase(place), run or f"run {os.getpid()}", time.time() // 36_000 * 36_000
    until += 72_000
    names = [f"person{os.getpid()}-{member}" for member in range(count)]
    seen = moved = 0

    def once() -> float:
        nonlocal seen, moved
        asked = [NodeAsked("day", name, until, ALL_OCTETS, seen, moved, 0, 1_000_000) for name in names]
        began = time.monotonic()
        lent = database.borrow(run, asked)
        seen = moved = min(one.granted for one in lent)
        return time.monotonic() - began

    return once


def _follow(place: StoreAddress, count: int) -> Callable[[], float]:
    """Read what another node changed of people who are on both."""
    from corpproxy.backends.store.outage import PatientDatabase

    database = PatientDatabase(place)
    state = Path(place.state) / "other"
    state.mkdir(exist_ok=True)
    _turns(place, count, database.run)()
    turn = _turns(StoreAddress(database=place.database, state=str(state)), count)

    def once() -> float:
        turn()
        return _seconds(lambda: database.shared(time.time()))

    return once


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def main() -> None:
    """One node of those that are measured together; without an address, measure and print JSON."""
    if len(sys.argv) > 2:
        address, state, what, count, seconds, number = sys.argv[1:]
        print(_node(address, state, what, int(count), float(seconds), int(number)))
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet_database", description=__doc__)
    parser.parse_args()
    print(json.dumps(asdict(measure()), indent=1))


if __name__ == "__main__":
    main()
