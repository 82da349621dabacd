"""
A million mixed exchanges, and what is left of them: ``python -m benchmarks --soak 1000000``.

The load, the origin and corpproxy each count for themselves.  In the end every exchange must have one closing
record, the octets in the records and in the ledger must be those that client and server counted, by whatever
the ledger has sums, and no process may have grown since all that happens for the first time has.  Some
exchanges are cut off on purpose, by a person of their own; for those the difference has a bound.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from benchmarks import fixtures
from benchmarks.duties import ALL, Neglected
from benchmarks.fixtures import SMALL, credentials, user_name
from benchmarks.load import Load, Seen
from benchmarks.origin import Origin, compiled
from benchmarks.peers.corpproxy import Corpproxy
from benchmarks.place import enter, name_hosts
from corpproxy.accounting.report import By, UsageQuestion, UsageReport
from corpproxy.accounting.store_address import STORE_FILE
from corpproxy.audit.record import Record, decode
from corpproxy.audit.results import Kind
from corpproxy.backends.records.segment_file import open_segment
from corpproxy.backends.records.segments import RECORDS_FOLDER, segment_names
from corpproxy.backends.store.sqlite import report_from

DOMAINS = 50_000
WORKERS = 2
# Content that is moved by the kernel.
LONG = 100 * 1024
# A ClientHello of the load, as asking.h makes it.
HELLO = 517
CONNECTIONS = 64
ROUND = 50_000
# Memories fill in the first ones.
LEAST_ROUNDS = 4
# By then all that happens for the first time has: active minutes were forgotten after two of them, the record
# was signed and packed, its index made after five.  As long again is looked whether anything grows.
FULL_SECONDS = 330.0
# A look meets what is under way: the least of so many rounds is what is kept.
LOOKS = 3
# The person whose exchanges are cut off.
HASTY = 0
CUT_SECONDS = 0.5
# How much of an exchange that is cut off may be counted on one side alone: its head, its content.
BOUND_SENT = LONG + 1024
BOUND_RECEIVED = 2048
QUIET_SECONDS = 2.5
# Beyond this a process has grown: memory by a share, descriptors by a number (pipes that are kept at hand).
MAX_GROWTH = 0.05
MAX_DESCRIPTORS = 64

# So many sums that differ are shown.
SHOWN = 5

# What the ledger has sums by, and what a record says of it.
DIMENSIONS: dict[By, Callable[[Record], tuple[str, ...]]] = {
    By.USER: lambda record: (record.user,),
    By.GROUP: lambda record: record.groups,
    By.DEVICE: lambda record: (record.client,),
    By.CATEGORY: lambda record: record.categories,
    By.HOST: lambda record: (record.host,),
    By.RULE: lambda record: (record.rule,),
}


@dataclass(frozen=True, slots=True)
class Phase:
    """One kind of exchange; ``share`` of a round of all."""

    name: str
    share: float
    options: Mapping[str, object]
    tunnels: bool = False


PHASES = (
    Phase("kept connections", 0.5, {"act": "get", "path": "/s200"}),
    Phase("new connections", 0.2, {"act": "get", "path": "/s200", "close": 1}),
    Phase("tunnels", 0.2, {"act": "tunnel", "answer": SMALL}, tunnels=True),
    Phase("long content", 0.1, {"act": "get", "path": "/long"}),
)


@dataclass(slots=True)
class Counts:
    """What one side counted."""

    exchanges: int = 0
    received: int = 0
    sent: int = 0

    def add(self, exchanges: int, received: int, sent: int) -> None:
        """Count more."""
        self.exchanges += exchanges
        self.received += received
        self.sent += sent


@dataclass(frozen=True, slots=True)
class Size:
    """
    A process: memory that is in no file, in octets, and open descriptors.

    Pages that are the same as in a file are the kernel's, which takes them when it has a use for them.  Those
    that a copy of a process has in common with it are counted in both: that one of them is written to, and
    is there twice from then on, is no growth of either.
    """

    memory: int
    descriptors: int


@dataclass(slots=True)
class Tally:
    """All that the load saw, and how the processes grew."""

    whole: Counts = field(default_factory=Counts)
    cut: Counts = field(default_factory=Counts)
    cuts: int = 0
    tunnels: int = 0
    stale: int = 0
    sizes: list[dict[int, Size]] = field(default_factory=list)
    # How many rounds had been when memories were full.
    full: int = 0


class Soaked(Corpproxy):
    """Ourselves, with two workers."""

    def tables(self) -> dict[str, object]:
        return {**super().tables(), "workers": WORKERS}


def soak(options: argparse.Namespace, folder: Path) -> int:
    """Run it, print what came of it; gives the exit code."""
    rounds = max(LEAST_ROUNDS, round(options.soak / ROUND))
    return Soak(folder, min(ROUND, options.soak // rounds)).run(rounds)


class Soak:
    """The servers, the proxy and the load of one run, in rounds of a ``size``."""

    def __init__(self, folder: Path, size: int) -> None:
        self._size = size
        self._place = place = enter(folder)
        made = fixtures.make(place.folder / "fixtures", DOMAINS)
        (made.web / "long").write_bytes(b"x" * LONG)
        steady = [credentials(number) for number in range(1, fixtures.USERS)]
        (place.folder / "steady").write_text("".join(f"{one}\n" for one in steady))
        (place.folder / "hasty").write_text(f"{credentials(HASTY)}\n")
        name_hosts(place, ALL.hosts)
        self._binary = compiled("load", place.folder)
        self._origin = Origin(place, made, counts=True)
        self._peer = Soaked(place, made, ALL)
        self._tally = Tally()

    def run(self, rounds: int) -> int:
        """Do so many rounds and compare; gives the exit code."""
        try:
            self._peer.lay_out()
            self._peer.start()
            began, number = time.monotonic(), 0
            is_long = rounds * self._size >= LEAST_ROUNDS * ROUND
            while number < rounds or (is_long and time.monotonic() - began < 2 * FULL_SECONDS):
                number += 1
                self._round()
                time.sleep(QUIET_SECONDS)
                self._tally.sizes.append(dict(_sizes(self._peer)))
                if time.monotonic() - began < FULL_SECONDS or number <= rounds // 2:
                    self._tally.full = number
                self._tell(number)
            self._peer.stop()
            time.sleep(QUIET_SECONDS)
            return verdict(self._tally, self._peer, self._origin)
        except Neglected as error:
            print(error)
            return 1
        finally:
            self._peer.stop()
            self._origin.stop()

    def _tell(self, number: int) -> None:
        each = ", ".join(f"{size.memory / 1e6:.1f}" for size in self._tally.sizes[-1].values())
        print(f"# round {number}: {self._tally.whole.exchanges:,} exchanges, MB of each: {each}", flush=True)

    def _round(self) -> None:
        tally = self._tally
        for phase in PHASES:
            seen = self._loaded(phase, "steady", limit=round(self._size * phase.share), secs=500)
            if seen.lost:
                raise Neglected(f"{phase.name}: {seen.lost} exchanges failed: {seen.errors}")
            tally.whole.add(seen.count + seen.refused, seen.sent, seen.octets)
            tally.stale += seen.stale
            tally.tunnels += seen.count if phase.tunnels else 0
        for phase in PHASES:
            seen = self._loaded(phase, "hasty", secs=CUT_SECONDS)
            tally.cut.add(seen.count + seen.refused, seen.sent, seen.octets)
            tally.cuts += CONNECTIONS

    def _loaded(self, phase: Phase, people: str, **more: object) -> Seen:
        port = self._place.tunnel_port if phase.tunnels else self._place.web_port
        chosen = {"port": port, "conns": CONNECTIONS, "warm": 0, "users": self._place.folder / people}
        load = Load(self._binary, self._place, self._peer.port, {**chosen, **phase.options, **more})
        try:
            load.line()
            return Seen(**load.line())
        finally:
            load.stop()


def _sizes(peer: Corpproxy) -> Iterator[tuple[int, Size]]:
    for status in peer.runs.members():
        rollup = Path(f"/proc/{status.pid}/smaps_rollup").read_text()
        own = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Anonymous:"))
        yield status.pid, Size(own * 1024, len(os.listdir(f"/proc/{status.pid}/fd")))


def verdict(tally: Tally, peer: Corpproxy, origin: Origin) -> int:
    """Compare all counts; gives the exit code."""
    is_long = tally.whole.exchanges >= LEAST_ROUNDS * ROUND
    growth = _growth(tally.sizes, tally.full) if is_long else _too_short()
    rows = list(itertools.chain(_counts(tally, peer, origin), growth))
    for name, figures, holds in rows:
        print(f"{'ok   ' if holds else 'WRONG'} {name}: {figures}")
    return int(not all(holds for _, _, holds in rows))


Row = tuple[str, str, bool]


@dataclass(slots=True)
class Recorded:
    """
    What the records say.

    ``whole`` and ``cut`` are those of the load, ``named`` those of people whose exchanges are not cut off;
    ``up`` and ``tunnelled`` count toward the servers: all plain exchanges, the tunnels that were not cut off.
    """

    whole: Counts = field(default_factory=Counts)
    cut: Counts = field(default_factory=Counts)
    named: Counts = field(default_factory=Counts)
    up: Counts = field(default_factory=Counts)
    tunnelled: Counts = field(default_factory=Counts)
    by: dict[By, dict[str, Counts]] = field(default_factory=lambda: {by: {} for by in DIMENSIONS})
    closings: Counter[str] = field(default_factory=Counter)
    opened: set[str] = field(default_factory=set)

    def take(self, record: Record) -> None:
        """Count one."""
        if record.kind in {Kind.OPENING, Kind.PROGRESS}:
            self.opened.add(record.id)
            return
        self.closings[record.id] += 1
        is_cut = record.user == user_name(HASTY)
        self._take_by(record)
        if record.user and not is_cut:
            self.named.add(1, record.received, record.sent)
        if record.agent:  # those without one were not asked by the load
            (self.cut if is_cut else self.whole).add(1, record.received, record.sent)
        if record.method != "CONNECT":
            self.up.add(bool(record.up_sent), record.up_sent, record.up_received)
        elif not is_cut and record.up_sent:
            self.tunnelled.add(1, record.up_sent, record.up_received)

    def _take_by(self, record: Record) -> None:
        """Count one for everything that the ledger has sums by."""
        for by, of in DIMENSIONS.items():
            for name in of(record) or ("",):
                self.by[by].setdefault(name, Counts()).add(1, record.received, record.sent)


def _counts(tally: Tally, peer: Corpproxy, origin: Origin) -> Iterator[Row]:
    ours = Recorded()
    # Closed segments are packed after a while.
    for name in segment_names(peer.folder / "state" / RECORDS_FOLDER):
        with open_segment(name.path) as lines:
            for line in lines:
                ours.take(decode(line))
    most = max(ours.closings.values())
    yield "closing records, and the most of one exchange", f"{len(ours.closings):,}, {most}", most == 1
    yield "tunnels that opened and closed", f"{len(ours.opened):,}", ours.opened <= ours.closings.keys()
    yield _equal("exchanges, records and load", ours.whole.exchanges, tally.whole.exchanges)
    yield _equal("octets received, records and load", ours.whole.received, tally.whole.received)
    yield _equal("octets sent, records and load", ours.whole.sent, tally.whole.sent)
    yield _equal("octets into tunnels, records and far end", ours.tunnelled.received, tally.tunnels * HELLO)
    yield _equal("octets out of tunnels, records and far end", ours.tunnelled.sent, tally.tunnels * SMALL)
    if tally.stale:
        print(f"# {tally.stale} requests met a connection that was being closed, and were sent again")
    yield from _cut(tally, ours.cut)
    yield from _origin(origin, ours.up, tally.cuts)
    yield from _ledger(peer, ours, tally.cuts)


def _origin(origin: Origin, up: Counts, cuts: int) -> Iterator[Row]:
    """The origin counts an exchange that we gave up as well as one that ended."""
    exchanges, asked, answered = origin.octets()
    name = "at the origin and in the records"
    # One request asks the origin directly whether it is there.
    direct = 1
    yield (
        f"plain exchanges {name}",
        f"{exchanges:,} and {up.exchanges:,}",
        0 <= exchanges - up.exchanges <= direct,
    )
    yield f"octets asked {name}", f"{asked:,} and {up.received:,}", 0 <= asked - up.received <= BOUND_RECEIVED
    more = answered - up.sent
    yield (
        f"octets answered {name}",
        f"{answered:,} and {up.sent:,}",
        0 <= more <= (cuts + direct) * BOUND_SENT,
    )


def _ledger(peer: Corpproxy, ours: Recorded, cuts: int) -> Iterator[Row]:
    named, reports = ours.named, {by: _report(peer, by) for by in By}
    usage = reports[By.USER]
    total = Counts()
    for row in usage.rows:
        if row.name not in {"", user_name(HASTY)}:
            total.add(row.exchanges, row.received, row.sent)
    yield _equal("exchanges, ledger and records", total.exchanges, named.exchanges)
    yield _equal("octets received, ledger and records", total.received, named.received)
    yield _equal("octets sent, ledger and records", total.sent, named.sent)
    for by in DIMENSIONS:
        sums = {row.name: Counts(row.exchanges, row.received, row.sent) for row in reports[by].rows}
        theirs = ours.by[by]
        slack = cuts * BOUND_RECEIVED if by is By.RULE else 0
        names = sorted(sums.keys() | theirs)
        differing = [name for name in names if not _alike(sums.get(name), theirs.get(name), slack)]
        figures = [f"{len(sums):,} and {len(theirs):,}"]
        figures += [f"{name!r} {sums.get(name)} and {theirs.get(name)}" for name in differing[:SHOWN]]
        yield f"sums by {by}, ledger and records", "; ".join(figures), not differing
    for by, report in reports.items():
        yield _equal(f"octets by {by} in all", report.total.octets, usage.total.octets)
        if not by.may_overlap:
            yield _equal(
                f"octets by {by}, the rows", sum(row.octets for row in report.rows), usage.total.octets
            )
            minutes = sum(row.minutes for row in report.rows)
            yield _equal(f"active minutes by {by}, the rows", minutes, usage.total.minutes)


def _alike(ours: Counts | None, theirs: Counts | None, slack: int) -> bool:
    """
    Whether the same is counted, but for some octets.

    A tunnel that was cut off before its first octets is decided again by their lack: what had moved until
    then may count for the rule of before, while its record names the later one.
    """
    if ours is None or theirs is None or ours.exchanges != theirs.exchanges:
        return False
    return max(abs(ours.received - theirs.received), abs(ours.sent - theirs.sent)) <= slack


def _report(peer: Corpproxy, by: By) -> UsageReport:
    return report_from(peer.folder / "state" / STORE_FILE, UsageQuestion(by, UTC))


def _cut(tally: Tally, cut: Counts) -> Iterator[Row]:
    missing, more = tally.cut.received - cut.received, cut.sent - tally.cut.sent
    name = f"octets on one side alone, of {tally.cuts:,} exchanges that were cut off at the most"
    yield f"received {name}", f"{missing:,}", 0 <= missing <= tally.cuts * BOUND_RECEIVED
    yield f"sent {name}", f"{more:,}", 0 <= more <= tally.cuts * BOUND_SENT


def _equal(name: str, ours: int, theirs: int) -> Row:
    return name, f"{ours:,} and {theirs:,}", ours == theirs


def _too_short() -> Iterator[Row]:
    yield "whether processes grow", f"a shorter run than {LEAST_ROUNDS * ROUND:,} cannot tell", True


def _growth(sizes: list[dict[int, Size]], full: int) -> Iterator[Row]:
    """Whether processes still run, and have not grown since memories were full after so many rounds."""
    # Children that work up the records come and go.
    serving, early, late = set(sizes[0]), sizes[full : full + LOOKS], sizes[-LOOKS:]
    staying = serving.intersection(*early, *late)
    yield "the same processes serve", f"{len(serving)}", serving == staying
    for pid in sorted(staying):
        was, now = _least(pid, early), _least(pid, late)
        figures = (
            f"{was.memory / 1e6:.1f} to {now.memory / 1e6:.1f} MB, {was.descriptors} to {now.descriptors}"
        )
        grown = now.memory > was.memory * (1 + MAX_GROWTH)
        yield f"process {pid}", figures, not grown and now.descriptors <= was.descriptors + MAX_DESCRIPTORS


def _least(pid: int, looks: list[dict[int, Size]]) -> Size:
    sizes = [look[pid] for look in looks]
    return Size(min(size.memory for size in sizes), min(size.descriptors for size in sizes))
