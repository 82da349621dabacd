"""
What a decision costs: ``python -m benchmarks.decisions``.

A policy of mixed rules (people, groups, networks, categories, domains, URLs, expressions, agents, lists,
``any`` and ``not``, hours), with exceptions that run, is asked by one person for hosts that were never seen:

* ``first``: the last rule matches, so that all the others had to be looked at;
* ``refused``: a rule at the beginning refuses, so that the exceptions had to be looked at, too;
* ``again``: for hosts that were asked for before;
* ``renewed``: for these by a new exchange, whose path and User-Agent are text that nobody hashed yet.

Each figure is the least of many rounds, because whatever else a machine does only adds to it.  For machines
and hours to be compared, two plain things are measured in the same run: the walk over the labels of a host
through one dictionary, which no filter can do without, and a look-up by a tuple of four facts, which
nothing can do without that remembers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import perf_counter

from corpproxy.destination.host import normal_host
from corpproxy.identity.model import Identity
from corpproxy.policy.calendar import Hours, parse_days, parse_spans
from corpproxy.policy.conditions import What, When, Who, parse_url
from corpproxy.policy.decide import Policy
from corpproxy.policy.exceptions import ALL_RULES, ExceptionEntry
from corpproxy.policy.model import Effect, Facts
from corpproxy.policy.rules import Rule

# Hosts asked for in one round, and how many rounds.
HOSTS = 500
ROUNDS = 40
# Hosts among those that are asked for again and again.
SEEN = 20

AT = datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()
LESSONS = When("lessons", Hours(parse_days("mon-fri"), parse_spans("08:30-15:30"), UTC))
# Names end in these, those of the rules and those that are asked for: many have their last labels in common.
TOPS = ("example", "co.uk", "test")
PUPIL = Identity("amir", ("pupils", "year-9"))


@dataclass(frozen=True, slots=True)
class Figures:
    """Microseconds of decisions over so many rules, and of the plain things in the same run."""

    rules: int
    first: float
    refused: float
    again: float
    renewed: float
    walk: float
    look_up: float

    @property
    def ratio(self) -> float:
        """How many walks over the labels of a host a first decision costs."""
        return self.first / self.walk

    @property
    def again_ratio(self) -> float:
        """How many look-ups of some facts a remembered decision costs."""
        return self.again / self.look_up


def mixed_rules(count: int) -> list[Rule]:
    """As many rules, all kinds of conditions in turn, of which the last alone matches a pupil's new host."""
    rules = [Rule(f"rule {number}", Effect.BLOCK, **_asked(number)) for number in range(count - 1)]
    return [*rules, Rule("everything else", Effect.ALLOW)]


def some_exceptions() -> list[ExceptionEntry]:
    """Exceptions that run, and of which none is for this pupil."""
    return [
        ExceptionEntry(
            "marking", ("rule 1",), who=Who(user=("carol",)), what=What(domain=("site1-0.example",))
        ),
        ExceptionEntry("chess club", (ALL_RULES,), who=Who(group=("chess",)), what=What(category=("games",))),
    ]


def _asked(number: int) -> dict[str, object]:
    """The conditions of one rule; a quarter of them has others inside."""
    kinds: tuple[dict[str, object], ...] = (
        {"who": Who(group=("pupils",)), "what": What(category=(f"category{number}",))},
        {"what": What(domain=tuple(f"site{number}-{one}.{TOPS[one % 3]}" for one in range(5)))},
        {"who": Who(not_=Who(group=("pupils",))), "what": What(method=("GET",))},
        {"what": What(url=(parse_url(f"news{number}.example/sport"),)), "when": (LESSONS,)},
        {"who": Who(network=(f"10.{number % 250}.0.0/16",)), "what": What(scheme=("http",))},
        {"what": What(any_=(What(category=(f"any{number}",)), What(host=(f"any{number}.example",))))},
        {"what": What(expression=(rf"watch\?v={number}\b",))},
        {"who": Who(user=(f"person{number}",)), "what": What(port=(80, 443))},
        {"what": What(all_=(What(domain=(f"bank{number}.example",), called=f"list {number}"),))},
        {"who": Who(group=("staff",), not_=Who(user=("carol",))), "what": What(extension=("exe",))},
        {"who": Who(agent=(f"Robot/{number}",))},
        {"who": Who(listener=("rooms",)), "what": What(category=("games",), not_=What(port=(8080,)))},
    )
    return kinds[number % len(kinds)]


def some_facts(count: int, name: str = "www.host{number}.shop{other}.{top}") -> Iterator[Facts]:
    """Requests of one pupil for hosts that nobody saw before, and that no rule names unless ``name`` does."""
    for number in range(count):
        written = name.format(number=number, other=number % 97, top=TOPS[number % 3])
        yield Facts(
            PUPIL,
            "172.16.4.5",
            "office",
            "GET",
            "http",
            normal_host(written),
            80,
            f"/articles/{number}?page=2",
            ("shopping",),
            AT,
            agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        )


def figures(rules: int) -> Figures:
    """Measure a policy of so many rules."""
    policy = Policy(mixed_rules(rules), exceptions=some_exceptions())
    asked, refused = list(some_facts(HOSTS)), list(some_facts(HOSTS, "w{number}.site1-0.example"))
    decided = {policy.decide(one).rule for one in asked}, {policy.decide(one).rule for one in refused}
    if decided != ({"everything else"}, {"rule 1"}):
        raise AssertionError(f"the last rule was to match, and the second; not {decided}")
    few = asked[:SEEN] * (HOSTS // SEEN)
    names = [one.host.name for one in asked]
    known = dict.fromkeys((f"site{number}.example" for number in range(rules * 5)), 1)
    keys = [(one.host.name, one.path, one.client, one.method) for one in asked]
    return Figures(
        rules,
        first=_least(lambda: _decide_anew(policy, asked)),
        refused=_least(lambda: _decide_anew(policy, refused)),
        again=_least(lambda: _decide(policy, few)),
        renewed=_least(lambda again: _decide(policy, again), lambda: [_renewed(one) for one in few]),
        walk=_least(lambda: _walk(known, names)),
        look_up=_least(lambda: _look_up(dict.fromkeys(keys[:SEEN], 1), keys[:SEEN] * (HOSTS // SEEN))),
    )


def _renewed(facts: Facts) -> Facts:
    """The same as a new exchange brings it: read from the wire again."""
    return replace(facts, path=facts.path.encode().decode(), agent=facts.agent.encode().decode())


def _least(work: Callable[..., None], prepare: Callable[[], object] | None = None) -> float:
    """Microseconds for one of the things that ``work`` does ``HOSTS`` times, with what is prepared for it."""
    best = min(_seconds(work, *([prepare()] if prepare is not None else [])) for _ in range(ROUNDS))
    return best / HOSTS * 1e6


def _seconds(work: Callable[..., None], *given: object) -> float:
    start = perf_counter()
    work(*given)
    return perf_counter() - start


def _decide(policy: Policy, asked: Sequence[Facts]) -> None:
    for one in asked:
        policy.decide(one)


def _decide_anew(policy: Policy, asked: Sequence[Facts]) -> None:
    """Decide on hosts that were not seen before: nothing is remembered of them."""
    policy.forget()
    _decide(policy, asked)


def _walk(known: dict[str, int], names: Sequence[str]) -> None:
    for name in names:
        while name:
            known.get(name)
            name = name.partition(".")[2]


def _look_up(known: dict[tuple[str, ...], int], keys: Sequence[tuple[str, ...]]) -> None:
    for key in keys:
        known[key]


COLUMNS = ("rules", "first", "refused", "again", "renewed", "walk", "look-up", "first/walk", "again/look-up")


def main(counts: Sequence[int] = (20, 200, 1000)) -> None:
    """Print the figures."""
    sys.stdout.write(f"microseconds; Python {sys.version.split()[0]} in {sys.base_prefix}\n")
    sys.stdout.write("  ".join(f"{column:>7}" for column in COLUMNS) + "\n")
    for count in counts:
        one = figures(count)
        cells = (one.first, one.refused, one.again, one.renewed, one.walk, one.look_up)
        words = [f"{count:7}", *(f"{cell:7.2f}" for cell in cells)]
        words += [f"{one.ratio:10.1f}", f"{one.again_ratio:13.1f}"]
        sys.stdout.write("  ".join(words) + "\n")


if __name__ == "__main__":
    main()
