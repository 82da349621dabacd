"""
Tests for an imported policy: for each rule one request on which it decides, as it is now.

They keep an edit from changing by accident what was taken over.  A rule for which none is found (it asks for
something that is seldom met) has none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TypeVar

from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Purpose
from corpproxy.destination.classifier import Classifier
from corpproxy.destination.model import AddressClass
from corpproxy.foreign.yaml_text import Value, flow
from corpproxy.identity.people import People
from corpproxy.policy.calendar import parse_instant
from corpproxy.policy.conditions import PortRange, What, Who, demanded
from corpproxy.policy.networks import IpNetwork, ranges_of
from corpproxy.policy.question import Question, Surroundings, facts_for
from corpproxy.policy.rules import Rule

# Requests that are tried for one rule; each takes some twenty microseconds.
MAX_TRIED = 300
# More tests than these nobody reads.
MAX_TESTS = 60

# A week like any other: imported hours know weekdays, and no dates.
_DAYS = ("2026-11-23", "2026-11-25", "2026-11-28", "2026-11-29")
_HOURS = ("10:00", "12:30", "03:00", "17:00", "21:00", "08:00", "14:00")
_ELSEWHERE = "www.example.org"


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked for: a host and a port with a method."""

    host: str
    port: int
    method: str
    path: str = "/"

    @property
    def url(self) -> str:
        """As a question has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.method == "CONNECT":
            return f"{host}:{self.port}"
        return f"http://{host}{self.path}" if self.port == 80 else f"http://{host}:{self.port}{self.path}"


def tests_for(configuration: Configuration) -> list[str]:
    """The lines of a ``tests:`` table, none when there is no test to write."""
    finder = _Finder(configuration)
    found: dict[str, None] = {}
    for rule in configuration.policy.rules[:MAX_TESTS]:
        case = finder.case(rule)
        if case is not None:
            found[f"  - {flow(case)}"] = None
    challenge = finder.challenge()
    if challenge is not None:
        found[f"  - {flow(challenge)}"] = None
    return ["tests:", *found] if found else []


class _Finder:
    """Looks for requests on which rules decide."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._policy = configuration.policy
        identity = configuration.identity
        forward = configuration.listening(Purpose.FORWARD)
        self._surroundings = Surroundings(
            Classifier(None, configuration.own).classify,
            People(identity),
            forward[0].name if forward else "",
            asks_to_sign_in=bool(identity.methods),
            asks_always=False,
            exemptions=configuration.exemptions,
        )
        members = sorted({name for names in identity.groups.values() for name in names})
        self._people = (*members[:3], "somebody") if identity.methods or members else ()
        hours = any(math.isfinite(self._policy.next_change(self._at(at))) for at in (f"{_DAYS[0]}T00:00",))
        self._times = [f"{day}T{hour}" for hour in _HOURS for day in _DAYS] if hours else [""]

    def case(self, rule: Rule) -> dict[str, Value] | None:
        """A test on which this rule decides."""
        tried = product(self._whos(rule.who), self._requests(rule.what), self._times)
        for (user, client), request, at in islice(tried, MAX_TRIED):
            outcome = self._outcome(user, client, request, at)
            if outcome is not None and outcome[1] == rule.name:
                return _written(user, client, request, at, *outcome)
        return None

    def challenge(self) -> dict[str, Value] | None:
        """A test on which the proxy asks to sign in."""
        for at in self._times:
            request = _Request(_ELSEWHERE, 80, "GET")
            for client in ("", *self._networks(self._policy.rules)):
                if self._outcome("", client, request, at) == ("challenge", ""):
                    return _written("", client, request, at, "challenge", "")
        return None

    def _outcome(self, user: str, client: str, request: _Request, at: str) -> tuple[str, str] | None:
        moment = self._at(at or f"{_DAYS[0]}T10:00")
        try:
            question = Question(request.url, moment, request.method, user, client=client)
            asked = facts_for(question, self._surroundings, self._policy.asks_who)
        except ValueError:
            return None
        if asked.is_challenged:
            return "challenge", ""
        decision = self._policy.decide(asked.facts)
        return str(decision.effect), decision.rule

    def _at(self, written: str) -> float:
        return parse_instant(written, self._configuration.time_zone)

    def _whos(self, who: Who) -> list[tuple[str, str]]:
        """Who may be meant: people, and addresses of clients."""
        groups = self._configuration.identity.groups
        people: list[str] = []
        for part in demanded(who):
            people += part.user[:1]
            people += [name for group in part.group for name in groups.get(group, ())[:1]]
        clients = list(dict.fromkeys([*self._networks([who]), "", *self._networks(self._policy.rules)]))
        users = list(dict.fromkeys([*people, "", *self._people]))
        return [(user, client) for client in clients[:4] for user in users[:5]]

    def _networks(self, rules: Iterable[Rule | Who]) -> Iterator[str]:
        """The first address of each network that is asked for."""
        for one in rules:
            who = one.who if isinstance(one, Rule) else one
            parts = [*demanded(who), *((who.not_,) if who.not_ is not None else ())]
            for name in (name for part in parts for name in part.network):
                yield _first(ranges_of(name, self._policy.networks)[0])

    def _requests(self, what: What) -> list[_Request]:
        """What may be meant: hosts, methods and ports that are named, or others."""
        parts = list(demanded(what))
        hosts = [host for part in parts for host in (*part.host[:1], *part.domain[:1])]
        hosts += [_uri_host(inside) for part in parts for inside in _addresses(part)]
        paths = [(one.host, one.path) for part in parts for one in part.url[:1]]
        methods = [method for part in parts for method in part.method[:1]] or ["GET", "CONNECT"]
        ports = [
            port.first if isinstance(port, PortRange) else port for part in parts for port in part.port[:1]
        ]
        found = [_Request(host, 80, "GET", path) for host, path in paths]
        for host, method in product(_unique(hosts, _ELSEWHERE), methods):
            usual = 443 if method == "CONNECT" else 80
            found += [_Request(host, port, method) for port in _unique([*ports, usual], 25)]
        return found


def _addresses(what: What) -> Iterator[str]:
    """An address that is in the first network that is asked for."""
    yield from islice((_first(one) for one in what.address if not isinstance(one, AddressClass)), 1)


def _first(network: IpNetwork) -> str:
    """The first address of a network that may be somebody's."""
    alone = network.num_addresses == 1
    return str(network.network_address if alone else network.network_address + 1)


def _uri_host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _unique(values: Sequence[_T], last: _T) -> list[_T]:
    return list(dict.fromkeys([*values, last]))


def _written(user: str, client: str, request: _Request, at: str, expect: str, rule: str) -> dict[str, Value]:
    """One test as it stands in the policy."""
    made: dict[str, Value] = {"user": user, "from": client, "at": at}
    if request.method == "CONNECT":
        made["connect"] = request.url
    elif request.method == "GET":
        made["get"] = request.url
    else:
        made |= {"url": request.url, "method": request.method}
    made |= {"expect": expect, "rule": rule}
    return {name: value for name, value in made.items() if value}
