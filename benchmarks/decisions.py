"""
What a decision costs: ``python -m benchmarks.decisions``.

A policy of mixed rules (people, groups, networks, categories, domains, URLs, expressions, agents, lists,
``any`` and ``not``, hours) of which the last matches is asked for hosts that were never seen, then again for
the same ones.
Each figure is the least of many rounds, because whatever else a machine does only adds to it; beside the
microseconds stands the ratio to a plain baseline that is measured in the same run: the walk over the labels
of a host through one dictionary, which no filter can do without.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter

from corpproxy.destination.host import normal_host
from corpproxy.identity.model import Identity
from corpproxy.policy.calendar import Hours, parse_days, parse_spans
from corpproxy.policy.conditions import What, When, Who, parse_url
from corpproxy.policy.decide import Policy
from corpproxy.policy.model import Effect, Facts
from corpproxy.policy.rules import Rule

# Hosts asked for in one round, and how many rounds.
HOSTS = 500
ROUNDS = 15

AT = datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()
LESSONS = When("lessons", Hours(parse_days("mon-fri"), parse_spans("08:30-15:30"), UTC))
PUPIL = Identity("amir", ("pupils", "year-9"))


@dataclass(frozen=True, slots=True)
class Figures:
    """Microseconds of a decision over so many rules, and of the baseline in the same run."""

    rules: int
    first: float
    again: float
    baseline: float

    @property
    def ratio(self) -> float:
        """How many walks over the labels of a host a first decision costs."""
        return self.first / self.baseline


def mixed_rules(count: int) -> list[Rule]:
    """As many rules, all kinds of conditions in turn, of which the last alone matches a pupil's new host."""
    rules = [Rule(f"rule {number}", Effect.BLOCK, **_asked(number)) for number in range(count - 1)]
    return [*rules, Rule("everything else", Effect.ALLOW)]


def _asked(number: int) -> dict[str, object]:
    """The conditions of one rule; a quarter of them has others inside."""
    kinds: tuple[dict[str, object], ...] = (
        {"who": Who(group=("pupils",)), "what": What(category=(f"category{number}",))},
        {"what": What(domain=tuple(f"site{number}-{one}.example" for one in range(5)))},
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


def some_facts(count: int) -> Iterator[Facts]:
    """Requests of one pupil for hosts that no rule knows."""
    for number in range(count):
        host = normal_host(f"www.host{number}.shop{number % 97}.test")
        path = f"/articles/{number}?page=2"
        yield Facts(
            PUPIL,
            "172.16.4.5",
            "office",
            "GET",
            "http",
            host,
            80,
            path,
            ("shopping",),
            AT,
            agent="Firefox/140",
        )


def figures(rules: int) -> Figures:
    """Measure a policy of so many rules."""
    policy = Policy(mixed_rules(rules))
    asked = list(some_facts(HOSTS))
    if {policy.decide(one).rule for one in asked} != {"everything else"}:
        raise AssertionError("the last rule was to match")
    names = [one.host.name for one in asked]
    known = dict.fromkeys((f"site{number}.example" for number in range(rules * 5)), 1)
    return Figures(
        rules,
        first=_least(lambda: _decide_anew(policy, asked)),
        again=_least(lambda: _decide(policy, asked[:20] * (HOSTS // 20))),
        baseline=_least(lambda: _walk(known, names)),
    )


def _least(work: Callable[[], None]) -> float:
    """Microseconds for one of the things that ``work`` does ``HOSTS`` times."""
    best = min(_seconds(work) for _ in range(ROUNDS))
    return best / HOSTS * 1e6


def _seconds(work: Callable[[], None]) -> float:
    start = perf_counter()
    work()
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


def main(counts: Sequence[int] = (20, 200, 1000)) -> None:
    """Print the figures."""
    sys.stdout.write("rules   first, us   again, us   walk over labels, us   ratio\n")
    for count in counts:
        one = figures(count)
        sys.stdout.write(
            f"{one.rules:5}   {one.first:9.2f}   {one.again:9.2f}   {one.baseline:20.2f}   {one.ratio:5.1f}\n"
        )


if __name__ == "__main__":
    main()
