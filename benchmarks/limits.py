"""
What accounting costs: ``python -m benchmarks.limits``.

The real parts of a worker and of its supervisor, in this process and on a simulated clock: each exchange is
metered, held to its limits, counted for its quotas (lent by the supervisor) and written into the ledger;
what is done for all of them together a few times a second runs between.  Told are

* microseconds for an exchange, of its own and its part of what is done between, by how many people are known;
* the longest step of the loop: in the ordinary course, as people are forgotten, when the policy is loaded
  anew, when a worker dies, when rates are dealt;
* with ``--memory`` what a service, supervisor and worker, has in memory with so many limited people.

Left out are the sockets and the link between the two processes; what the disk does is not counted.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from benchmarks.programs import Program
from corpproxy import quota_keeper
from corpproxy.accounting.accounts import Account, Accounts
from corpproxy.accounting.ledger import Ledger
from corpproxy.accounting.quotas import Kept
from corpproxy.backends.store.quota_file import QUOTA_FILE, QuotaFile
from corpproxy.destination.model import Host
from corpproxy.identity.model import Identity
from corpproxy.interpreter import set_interpreter
from corpproxy.net.borrowing import Borrowing
from corpproxy.net.counting import Counter
from corpproxy.net.leeways import Leeways
from corpproxy.net.limiting import Limiting, limit
from corpproxy.net.pacing import TURN_SECONDS, Pacer
from corpproxy.policy.limits import Limit, Limits, Per
from corpproxy.policy.model import Facts
from corpproxy.policy.quota import Every, Quota, Standings
from corpproxy.slices import Slices
from corpproxy.supervisor.messages import Takings
from corpproxy.supervisor.rates import Dealing, Taking

GIB, MIB, KIB = 1 << 30, 1 << 20, 1 << 10
# Monday morning.
BEGINS = 1795428010.0
# People who do something at a time, exchanges in each quarter of a second, and in how many of these; and in
# how many before that, until nearly all have asked for something.
ACTIVE, EXCHANGES, TURNS, BEFORE = 2_000, 250, 80, 40
# What most answers have.
ANSWER_OCTETS = 12 * KIB

QUOTAS = (
    Limit("day", quota=Quota(volume=2 * GIB, every=Every.DAY)),
    Limit("class", per=Per.GROUP, quota=Quota(volume=500 * GIB, every=Every.DAY)),
    Limit("month", per=Per.SITE, quota=Quota(volume=99_000 * GIB, every=Every.MONTH)),
)
RATES = (Limit("each", download=100 * MIB), Limit("line", per=Per.SITE, download=1000 * MIB))
POLICIES = {
    "counted, no limits": (),
    "one quota each": QUOTAS[:1],
    "quotas of user, group and site": QUOTAS,
    "rates of user and site": RATES,
    "all of these": (*QUOTAS, *RATES),
}


class StepClock(Clock):
    """
    A simulated clock that notes how long each step took: ``longest`` in milliseconds, by what it was.

    It is the processor's time, so that it is told on a busy machine, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.longest: dict[str, float] = {}
        self.seconds_in_steps = 0.0

    def callLater(self, when: float, what: Callable[..., Any], *a: Any, **kw: Any) -> Any:
        return super().callLater(when, self._step, what, *a, **kw)

    def _step(self, what: Callable[..., Any], *a: Any, **kw: Any) -> Any:
        of = getattr(what, "__self__", None)
        name = of.doing if isinstance(of, Slices) else getattr(what, "__qualname__", str(what))
        return self.timed(name, what, *a, **kw)

    def later(self, what: Callable[[], Any]) -> None:
        """Do something that another thread would do."""
        super().callLater(0, what)

    def timed(self, name: str, what: Callable[..., Any], *a: Any, **kw: Any) -> Any:
        """Do a step."""
        began = time.thread_time()
        try:
            return what(*a, **kw)
        finally:
            took = time.thread_time() - began
            self.seconds_in_steps += took
            self.longest[name] = max(self.longest.get(name, 0.0), took * 1000)

    @property
    def worst(self) -> tuple[str, float]:
        """The longest step, and how long it took; begins anew."""
        longest, self.longest = self.longest, {}
        return max(longest.items(), key=lambda one: one[1], default=("none", 0.0))


class Thread:
    """A thread of the disk, whose work counts for nothing here."""

    def __init__(self, clock: StepClock) -> None:
        self._clock = clock

    def run(self, work: Callable[[], Any]) -> Deferred[Any]:
        """Do work, and have what comes of it taken up in a step."""
        done: Deferred[Any] = Deferred()
        self._clock.later(lambda: self._clock.callLater(0, done.callback, work()))
        return done

    def stop(self) -> None:
        """Nothing runs."""


class Site:
    """A worker and its supervisor, and people who are known."""

    def __init__(self, limits: Sequence[Limit], people: int, folder: Path) -> None:
        self.clock = StepClock()
        self.clock.rightNow = BEGINS
        self.table = Limits(limits, standings=Standings())
        self.people = [
            Identity(f"person{n:06}@hillside.example", (f"class{n // 25:04}",)) for n in range(people)
        ]
        self.accounts = Accounts(Ledger())
        pacer = Pacer(self.clock)
        self.proxy = SimpleNamespace(
            pacer=pacer,
            counter=Counter(self.clock),
            borrowing=Borrowing(pacer, self.clock),
            in_force=SimpleNamespace(limiting=self.table),
        )
        self.proxy.leeways = Leeways(
            self.clock, self.clock.seconds, pacer, self.proxy.counter, self.proxy.borrowing
        )
        # What is remembered of exchanges like one before, by person.
        self._known = {one.name: SimpleNamespace(leeway=None) for one in self.people}
        pacer.looked, pacer.lacking = self.proxy.borrowing.turning, self.proxy.borrowing.lack
        self.keeper = self._keeper(folder)
        counter, borrowing, keeper = self.proxy.counter, self.proxy.borrowing, self.keeper
        counter.send = lambda counts: keeper.count(borrowing.count(counts))
        borrowing.send = lambda asked: keeper.lend("worker", asked, borrowing.take)
        self._random = random.Random(1)
        active = self._random.sample(self.people, min(people, ACTIVE))
        self.held = 0
        self._asking = [self._random.choice(active) for _ in range(EXCHANGES * (BEFORE + TURNS))]

    def _keeper(self, folder: Path) -> quota_keeper.QuotaKeeper:
        path = folder / QUOTA_FILE
        rows = [
            Kept(one.name, person.name, BEGINS + 3600.0, 1000.0 + number, 0.0)
            for one in self.table.limits
            if one.quota is not None and one.per is Per.USER
            for number, person in enumerate(self.people)
        ]
        write_rows(path, rows)
        service = SimpleNamespace(
            state=folder,
            store=SimpleNamespace(is_shared=False),
            reactor=self.clock,
            now=self.clock.seconds,
            proxy=self.proxy,
            lasting=SimpleNamespace(standings=self.table.standings),
            take_standings=self.table.standings.take,
        )
        before = quota_keeper.OneThread
        quota_keeper.OneThread = lambda reactor, name: Thread(self.clock)
        try:
            keeper = quota_keeper.QuotaKeeper(service)
        finally:
            quota_keeper.OneThread = before
        keeper.start()
        return keeper

    def exchange(self, person: Identity, number: int) -> None:
        """One exchange, from its limits to the ledger."""
        now, host = self.clock.seconds(), f"www{number % 300}.example.com"
        account = Account()
        account.received += 500
        if not self.table.limits:
            account.sent += ANSWER_OCTETS
        else:
            leeway = self._known[person.name].leeway
            if leeway is None or not leeway.may_begin(now) or not leeway.takes(500, ANSWER_OCTETS, now):
                self._held_exchange(person, host, account)
            else:
                account.sent += ANSWER_OCTETS
        self.accounts.count(account, now, person.name, person.groups, (), host, "10.1.2.3", "everybody")

    def _held_exchange(self, person: Identity, host: str, account: Account) -> None:
        """One that is held to its limits as it goes."""
        now = self.clock.seconds()
        self.held += 1
        facts = Facts(person, "10.1.2.3", "rooms", "GET", "http", Host(host), 80, "/", (), now)
        exchange = SimpleNamespace(
            account=account,
            identity=person,
            client="10.1.2.3",
            known=self._known[person.name],
            leeway=None,
            in_force=self.proxy.in_force,
            limited=self.table.find(facts),
            method=b"GET",
            content_over=True,
            started=now,
        )
        limiting = limit(SimpleNamespace(proxy=self.proxy, exchange=exchange))
        assert limiting is not None
        limiting.begin(nothing)
        account.sent += ANSWER_OCTETS
        limiting.close()

    def pass_time(self, seconds: float) -> None:
        """Let the clock go on, a quarter of a second at a time."""
        until = self.clock.seconds() + seconds
        while self.clock.seconds() < until:
            self.clock.advance(TURN_SECONDS)

    def microseconds(self) -> tuple[float, float]:
        """Of an exchange: its own, and its part of what is done between."""
        own = between = 0.0
        for turn in range(BEFORE + TURNS):
            if turn == BEFORE:
                own = between = 0.0
                self.held = 0
            asking = self._asking[turn * EXCHANGES : (turn + 1) * EXCHANGES]
            began = time.process_time()
            for number, person in enumerate(asking):
                self.exchange(person, number)
            own += time.process_time() - began
            self.clock.seconds_in_steps = 0.0
            self.clock.advance(TURN_SECONDS)
            between += self.clock.seconds_in_steps
            if turn % 3 == 0:
                self.accounts.ledger.take_batch()
        count = EXCHANGES * TURNS
        return own / count * 1e6, between / count * 1e6

    def stop(self) -> None:
        """Over."""
        self.proxy.pacer.stop()
        self.proxy.leeways.stop()
        self.proxy.counter.stop()


def nothing() -> None:
    """Nobody waits."""


def write_rows(path: Path, rows: Sequence[Kept]) -> None:
    """Make the file of what is used."""
    file = QuotaFile(path, SimpleNamespace(run=lambda work: work(), stop=nothing), lambda: BEGINS)
    file.keep(rows)
    file.close()


def cost(people: int, folder: Path) -> list[dict[str, Any]]:
    """What an exchange costs with so many people, by what limits there are."""
    found = []
    for number, (name, limits) in enumerate(POLICIES.items()):
        place = folder / f"{people}-{number}"
        place.mkdir()
        site = Site(limits, people, place)
        site.pass_time(2.0)
        set_interpreter()
        own, between = site.microseconds()
        site.stop()
        gc.unfreeze()
        step, longest = site.clock.worst
        found.append({"people": people, "limits": name, "own_us": own, "between_us": between,
                      "step": step, "step_ms": longest})  # fmt: skip
    return found


def steps(people: int, folder: Path) -> dict[str, tuple[str, float]]:
    """The longest step of what happens to everybody together."""
    folder.mkdir()
    site = Site(POLICIES["all of these"], people, folder)
    clock, found = site.clock, {}
    set_interpreter()
    site.pass_time(2.0)
    found["begun with what was kept"] = clock.worst
    site.pass_time(2.0)
    found["nothing happens"] = clock.worst
    for turn in range(8):
        for person in site.people[turn :: 8 * max(1, people // 20_000)]:
            clock.timed("an exchange", site.exchange, person, turn)
        clock.advance(TURN_SECONDS)
    found["everybody asks for something"] = clock.worst
    site.pass_time(30.0)
    clock.worst  # noqa: B018 - begins anew
    clock.timed("QuotaKeeper.define", site.keeper.define)
    site.pass_time(2.0)
    found["a policy is loaded anew"] = clock.worst
    clock.timed("QuotaKeeper.bury", site.keeper.bury, "worker")
    site.pass_time(2.0)
    found["a worker dies"] = clock.worst
    clock.rightNow = BEGINS + 3601.0
    site.pass_time(10.0)
    found["all is made good"] = clock.worst
    site.stop()
    gc.unfreeze()
    found["rates are dealt between two workers"] = dealing(people)
    return found


def dealing(people: int) -> tuple[str, float]:
    """The longest step while as many people as may be active are slowed in two workers."""
    clock = StepClock()
    waiting = min(people, 10_000)
    pacers: dict[str, Pacer] = {}
    takings: dict[str, Taking] = {}
    deal = Dealing(lambda seat, parts: takings[str(seat)].take(parts), clock)

    def take(seat: Any, took: Takings) -> Deferred[Any]:
        clock.callLater(0, deal.take, seat, took)
        return Deferred()

    for seat in ("first", "second"):
        pacer = pacers[seat] = Pacer(clock)
        takings[seat] = Taking(pacer, 2, lambda took, seat=seat: take(seat, took))
        site = Limits(RATES)
        for number in range(waiting):
            whom = Identity(f"person{number:06}")
            facts = Facts(whom, "10.1.2.3", "rooms", "GET", "http", Host("a.example"), 80, "/", (), BEGINS)
            exchange = SimpleNamespace(account=Account(), identity=whom, client="10.1.2.3")
            proxy = SimpleNamespace(pacer=pacer, counter=Counter(clock))
            limiting = Limiting(SimpleNamespace(proxy=proxy, exchange=exchange))
            limiting.take(site.find(facts), begins=True)
            down = limiting._paces[0]
            assert down is not None
            down.claim.wake = lambda claim=down.claim, pacer=pacer: spend(pacer, claim)
            pacer.wait(down.claim)
    set_interpreter()
    for _ in range(8):
        clock.advance(TURN_SECONDS)
        clock.timed("Dealing.deal", deal.deal)
    for pacer in pacers.values():
        pacer.stop()
    deal.stop()
    gc.unfreeze()
    return clock.worst


def spend(pacer: Pacer, claim: Any) -> None:
    """Move all that may be moved, and wait for more."""
    claim.allowance = 0
    pacer.ask(claim)


SERVICE = """
site: benchmark
time_zone: Europe/London
state: state
listen: [{{name: forward, forward: "127.0.0.1:{port}"}}]
workers: 1
identity: {{methods: [{{basic: {{htpasswd: users}}}}]}}
rules: [{{name: all, do: allow}}]
limits:
  - {{name: day, volume: 2GiB, every: day, then: {{rate: 256KiB/s}}}}
  - {{name: each, rate: 2MiB/s}}
"""


def memory(people: int, folder: Path) -> float:
    """What a service has in memory, in megabytes, with so many people who used some of their quota."""
    import socket

    state = folder / "state"
    state.mkdir(parents=True)
    state.chmod(0o700)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    (folder / "policy.yaml").write_text(SERVICE.format(port=port))
    (folder / "users").write_text("amir:$2y$05$abcdefghijklmnopqrstuv\n")
    (folder / "users").chmod(0o600)
    until = time.time() + 36_000.0
    write_rows(
        state / QUOTA_FILE,
        [Kept("day", f"person{n:06}@hillside.example", until, 1000.0 + n, 0.0) for n in range(people)],
    )
    command = [sys.executable, "-m", "twisted", "corpproxy", "--policy", str(folder / "policy.yaml")]
    program = Program(command, None, folder / "log")
    try:
        time.sleep(3.0)
        program.settle()
        if not program.runs() or len(program.members()) < 2:
            raise SystemExit((folder / "log").read_text())
        octets = program.octets()
    finally:
        program.stop()
    with closing(sqlite3.connect(state / QUOTA_FILE)) as kept:
        assert kept.execute("SELECT count(*) FROM quota").fetchone() == (people,)
    return octets / 1e6


def show(found: dict[str, Any]) -> None:
    """Print it."""
    print("people known  limits                          an exchange  and between   longest step")
    for row in found["cost"]:
        print(f"{row['people']:12,}  {row['limits']:30}  {row['own_us']:8.2f} us  {row['between_us']:8.2f} us"
              f"  {row['step_ms']:8.1f} ms  {row['step']}")  # fmt: skip
    for people, named in found["steps"].items():
        print(f"\nlongest step with {int(people):,} people")
        for name, (step, longest) in named.items():
            print(f"  {name:38} {longest:8.1f} ms  {step}")
    for people, megabytes in found.get("memory", {}).items():
        print(f"\n{int(people):,} limited people: {megabytes:.0f} MB, supervisor and worker together")


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--people", default="1000,10000,100000", help="how many are known, with commas")
    parser.add_argument("--memory", action="store_true", help="start a service, too, and look at its memory")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    counts = [int(word) for word in options.people.split(",")]
    with tempfile.TemporaryDirectory(prefix="corpproxy-limits-") as name:
        folder = Path(name)
        found: dict[str, Any] = {
            "cost": [row for count in counts for row in cost(count, folder)],
            "steps": {str(count): steps(count, folder / f"steps{count}") for count in counts},
        }
        if options.memory:
            found["memory"] = {str(count): memory(count, folder / f"m{count}") for count in (0, max(counts))}
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()
