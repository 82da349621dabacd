"""
Runs children that write, and kills each with signal 9 at a random instant.

Usage: killed.py store|records FOLDER KILLS SEED.  For each child it prints one line of JSON: ``said`` is what
the child had announced before the kill, ``acknowledged`` what its backend had confirmed,
``before`` what it had announced four intervals before the kill.
"""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path

from corpproxy.accounting.accounts import Account, Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.settings import AuditSettings
from corpproxy.audit.times import utc_text
from corpproxy.backends.bookkeeping import Bookkeeper
from corpproxy.backends.records.files import RecordWriter
from corpproxy.backends.store.sqlite import SqliteStore

# The intervals of the service, scaled down to a twentieth so that a hundred children take half a minute.
INTERVAL = 0.05
_NOTE = struct.Struct("=cdQ")
SAID, ACKNOWLEDGED = b"s", b"a"


class Notes:
    """What a child tells: a pipe outlives it."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def tell(self, kind: bytes, amount: int) -> None:
        os.write(self._pipe, _NOTE.pack(kind, time.monotonic(), amount))


def store_load(folder: Path, notes: Notes, first: int) -> None:
    """Move octets in short exchanges and in one tunnel, and let the bookkeeper store them."""
    from twisted.internet import reactor
    from twisted.internet.task import LoopingCall

    accounts = Accounts(Ledger())
    store = SqliteStore(reactor, folder / "corpproxy.db")
    tunnel = Account("amir", ("pupils",), (), "tunnel.example")
    accounts.open(tunnel)
    total = 0

    class Telling:
        """The store, telling when a batch is in."""

        def add_usage(self, batch):
            amount = sum(row.received for row in batch)
            return store.add_usage(batch).addCallback(lambda _: confirm(amount))

    confirmed = 0

    def confirm(amount: int) -> None:
        nonlocal confirmed
        confirmed += amount
        notes.tell(ACKNOWLEDGED, confirmed)

    def move() -> None:
        nonlocal total
        total += 20
        notes.tell(SAID, total)
        tunnel.received += 10
        account = Account("beth", (), ("games",), f"host{total % 50}.example")
        accounts.open(account)
        account.received += 10
        accounts.close(account, time.time())

    Bookkeeper(reactor, accounts, Telling(), interval_seconds=INTERVAL).start()
    LoopingCall(move).start(0.001)
    reactor.run()


def records_load(folder: Path, notes: Notes, first: int) -> None:
    """Write records with consecutive numbers."""
    from twisted.internet import reactor
    from twisted.internet.task import LoopingCall

    writer = RecordWriter(reactor, folder, AuditSettings(rotate_octets=20_000), flush_seconds=INTERVAL)
    number = first

    def write() -> None:
        nonlocal number
        notes.tell(SAID, number - first + 1)
        at = utc_text(time.time())
        writer.write(Record(id=str(number), kind=Kind.EXCHANGE, at=at, result=ResultCode.FORWARDED))
        number += 1

    LoopingCall(write).start(0.001)
    LoopingCall(lambda: notes.tell(ACKNOWLEDGED, writer.written)).start(0.01)
    reactor.run()


def one_child(load, folder: Path, chance: random.Random, first: int) -> dict[str, int]:
    """Start a child, kill it, and give what it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        load(folder, Notes(writing), first)
        os._exit(0)
    os.close(writing)
    notes = [os.read(reading, _NOTE.size)]
    time.sleep(chance.uniform(0.0, 0.35))
    os.kill(child, signal.SIGKILL)
    killed = time.monotonic()
    os.waitpid(child, 0)
    with open(reading, "rb") as pipe:
        rest = pipe.read()
    notes += [rest[i : i + _NOTE.size] for i in range(0, len(rest), _NOTE.size)]
    told = [_NOTE.unpack(note) for note in notes]
    early = killed - 4 * INTERVAL
    return {
        "first": first,
        "said": max((amount for kind, _, amount in told if kind == SAID), default=0),
        "acknowledged": max((amount for kind, _, amount in told if kind == ACKNOWLEDGED), default=0),
        "before": max((amount for kind, at, amount in told if kind == SAID and at < early), default=0),
    }


def main() -> None:
    """Kill so many children, one after the other."""
    what, folder, kills, seed = sys.argv[1:]
    chance = random.Random(seed)
    first = 0
    for _ in range(int(kills)):
        told = one_child({"store": store_load, "records": records_load}[what], Path(folder), chance, first)
        print(json.dumps(told), flush=True)
        first += told["said"]
        # Whoever drives this looks at what is on the disk before the next child begins.
        sys.stdin.readline()


if __name__ == "__main__":
    main()
