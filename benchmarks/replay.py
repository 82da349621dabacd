"""
How long a rehearsal takes, and the explanation of one exchange: ``python -m benchmarks.replay [RECORDS]``.

The records are made: a school of 2,000 people on 20,000 hosts over five days, three of four exchanges are
tunnels, as the service writes them.  They are decided again by the policy that decided them, and by one with
a rule more.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from itertools import accumulate
from pathlib import Path

import msgspec

from benchmarks.lists import names
from corpproxy.assembly import people_of
from corpproxy.audit.record import Record, append
from corpproxy.audit.reference import References
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.backends.policies.files import DISK
from corpproxy.backends.policies.history import History, Run
from corpproxy.backends.records.segments import segment_name
from corpproxy.cli import main as corpproxy
from corpproxy.config.load import load_policy
from corpproxy.identity.model import Identity
from corpproxy.replay.candidate import AsOf, Candidate
from corpproxy.replay.deciding import Deciding

RECORDS = 1_000_000
PEOPLE = 2_000
HOSTS = 20_000
DAYS = 5
SEGMENT_RECORDS = 250_000
# Monday, 2026-11-16, 08:00 UTC.
BEGIN = 1_794_816_000.0

POLICY = """\
site: Hillside
time_zone: Europe/London
listen: [{name: rooms, forward: "127.0.0.1:3128"}]
identity:
  methods: [{basic: {htpasswd: users.htpasswd}}]
  groups_file: users.groups
categories:
  own: {games: [%(games)s], news: [%(news)s], chat: [%(chat)s]}
calendars:
  lessons: {days: mon-fri, hours: ["08:30-12:00", "13:00-15:30"]}
rules:
  - {name: no games in lessons, who: {group: pupils}, what: {category: games}, when: lessons, do: block}
  - {name: no plans, what: {url: "plans.example/secret"}, do: block}
%(more)s
  - {name: people, who: {group: [pupils, staff]}, do: allow}
  - {name: everything else, do: block}
"""
MORE = "  - {name: no chat for pupils, who: {group: pupils}, what: {category: chat}, do: block}"
AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)


def main(count: int) -> None:
    """Make the records, rehearse, explain; print how long each took."""
    with tempfile.TemporaryDirectory(prefix="corpproxy-replay-") as folder:
        site = _site(Path(folder))
        octets, last = _write(site, count)
        print(f"{count:,} records, {octets / 2**20:,.0f} MiB")
        _timed("replay of the policy that ran", count, "replay", "--policy", site / "policy.yaml")
        _timed("replay of one with a rule more", count, "replay", "--policy", site / "more.yaml")
        _timed("one person's", count, "replay", "--policy", site / "more.yaml", "--user", "p0007")
        _timed("explain --ref of the last one", 1, "explain", "--policy", site / "policy.yaml", "--ref", last)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{'memory at most':34} {peak:8.0f} MiB")


def _site(folder: Path) -> Path:
    hosts = _hosts()
    lists = {
        "games": ", ".join(hosts[::50]),
        "news": ", ".join(hosts[1::40]),
        "chat": ", ".join(hosts[2::200]),
    }
    (folder / "users.htpasswd").write_text("")
    (folder / "users.htpasswd").chmod(0o600)
    groups = (f"p{number:04}: {'staff' if number % 12 == 0 else 'pupils'}\n" for number in range(PEOPLE))
    (folder / "users.groups").write_text("".join(groups))
    for name, more in (("policy.yaml", ""), ("more.yaml", MORE)):
        (folder / name).write_text(POLICY % {**lists, "more": more})
    return folder


def _hosts() -> list[str]:
    return list(names(HOSTS))


def _write(site: Path, count: int) -> tuple[int, str]:
    """Write the segments; gives their octets and the last reference."""
    path = site / "policy.yaml"
    folder = site / "state" / "records"
    folder.mkdir(parents=True)
    texts = {"policy.yaml": path.read_bytes()}
    History(site / "state").keep(texts, path, Run(BEGIN - 86_400, "carol", 1000, "reload"))
    octets, last, lines, number = 0, "", bytearray(), 0
    for record in _records(path, count):
        append(record, lines)
        last, number = record.id, number + 1
        if number % SEGMENT_RECORDS == 0 or number == count:
            begun = f"20261116T{8 + number // SEGMENT_RECORDS:02}0000Z"
            (folder / segment_name(begun, 0, 1)).write_bytes(lines)
            octets += len(lines)
            lines = bytearray()
    return octets, last


def _records(path: Path, count: int) -> Iterator[Record]:
    """Exchanges as the policy decides them: first drawn, then decided by the policy itself."""
    configuration = load_policy(path, DISK).configuration
    assert configuration is not None
    people = people_of(configuration.identity)
    deciding = Deciding(Candidate(configuration, None, people, lambda _: configuration, AsOf(lists=True)))
    dice = random.Random(7)
    hosts = _hosts()
    # A few hosts have most of the exchanges, as everywhere.
    weights = list(accumulate(1 / (rank + 10) for rank in range(HOSTS)))
    drawn = dice.choices(range(HOSTS), cum_weights=weights, k=count)
    references = References(1)
    for number in range(count):
        at = BEGIN + number * DAYS * 86_400 / count
        person = people.identity(f"p{dice.randrange(PEOPLE):04}")
        record = _record(references.next(at), at, person, hosts[drawn[number]], dice)
        record.policy = configuration.version
        verdict = deciding.verdict(record)
        decision = verdict.decision
        assert decision is not None
        record.decision, record.rule, record.reason = decision.effect.value, decision.rule, decision.reason
        record.place, record.categories = decision.place_text, verdict.categories
        if decision.effect.value != "allow":
            record.result, record.status, record.upstream = ResultCode.BLOCKED, 403, ""
        yield record


def _record(reference: str, at: float, person: Identity, host: str, dice: random.Random) -> Record:
    is_tunnel = dice.random() < 0.75
    record = Record(
        id=reference,
        kind=Kind.CLOSING if is_tunnel else Kind.EXCHANGE,
        at=utc_text(at),
        result=ResultCode.TUNNELLED if is_tunnel else ResultCode.FORWARDED,
        seconds=round(dice.uniform(0.01, 60), 6),
        client=f"10.1.{dice.randrange(8)}.{dice.randrange(1, 250)}",
        listener="rooms",
        user=person.name,
        groups=person.groups,
        groups_from=person.groups_from,
        source="basic",
        method="CONNECT" if is_tunnel else "GET",
        scheme="https" if is_tunnel else "http",
        host=host,
        port=443 if is_tunnel else 80,
        path="" if is_tunnel else f"/page/{dice.randrange(5000)}",
        status=200,
        received=dice.randrange(300, 5_000),
        sent=dice.randrange(500, 500_000),
        upstream="93.184.216.34:443",
        server_name=host if is_tunnel else "",
        agent=AGENT,
        connect_ms=12,
        first_octet_ms=30,
    )
    return msgspec.structs.replace(record, up_sent=record.received, up_received=record.sent)


def _timed(what: str, count: int, *words: object) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    out = StringIO()
    command, *rest = (str(word) for word in words)
    if command == "replay":
        rest += ["--since", "2026-11-01"]
    with redirect_stdout(out):
        code = corpproxy([command, *rest])
    seconds, worked = time.perf_counter() - began, time.process_time() - cpu
    rate = f", {worked / count * 1e6:.1f} us CPU each" if count > 1 else ""
    print(f"{what:34} {seconds:8.2f} s, {worked:.2f} s CPU{rate}")
    if code:
        print(out.getvalue())


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else RECORDS)
