"""The policy's own tests: who asks for what when, and what must come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from corpproxy.errors import NOWHERE, Place
from corpproxy.policy.decide import Policy
from corpproxy.policy.limits import NO_LIMITS, Limits
from corpproxy.policy.model import Answer, Decision, Facts
from corpproxy.policy.question import Asked, Question, Surroundings, facts_for
from corpproxy.policy.reasons import clock

# What a case may expect beside the effects of rules: that the proxy asks to sign in.
CHALLENGE = "challenge"

# A case without a time must come out so at any time: so far that is looked at, and at most so often.
ANY_TIME_SECONDS = 8 * 86_400
MAX_INSTANTS = 200


@dataclass(frozen=True, slots=True)
class Case:
    """
    One entry of the ``tests:`` table.

    ``expect`` is an effect or ``challenge``; ``rule``, if given, is the rule that must have decided, or
    ``safety: connect_ports`` and the like.  ``would_block``, if not None, is the rule in shadow that would
    have refused it, and ``exception`` the exception that made the difference; empty for none.  ``limits`` are
    all that must hold, None where it does not matter.  ``at`` is
    POSIX seconds, None for any time.  The other fields are those of `Question`.
    """

    url: str
    expect: str
    method: str = "GET"
    user: str = ""
    groups: tuple[str, ...] | None = None
    client: str = ""
    listener: str = ""
    at: float | None = None
    rule: str = ""
    would_block: str | None = None
    exception: str | None = None
    limits: frozenset[str] | None = None
    agent: str = ""
    addresses: frozenset[str] | None = None
    countries: frozenset[str] | None = None
    asns: frozenset[int] | None = None
    answer: Answer | None = None
    place: Place = NOWHERE

    def question(self, at: float) -> Question:
        """The question that it asks, at one time."""
        return Question(
            url=self.url,
            at=at,
            method=self.method,
            user=self.user,
            groups=self.groups,
            client=self.client,
            listener=self.listener,
            agent=self.agent,
            addresses=self.addresses,
            countries=self.countries,
            asns=self.asns,
            answer=self.answer,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that did not come out as expected, and how it did."""

    case: Case
    message: str

    @property
    def place(self) -> Place:
        """Where the case stands."""
        return self.case.place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(slots=True)
class Covered:
    """The names of rules, also of those in shadow, and of exceptions that decided some case."""

    rules: set[str] = field(default_factory=set)
    exceptions: set[str] = field(default_factory=set)

    def take(self, policy: Policy, facts: Facts) -> None:
        """Note what decides here."""
        found = policy.find(facts)
        self.rules |= {policy.rules[one].name for one in (found.rule, found.rehearsed) if one >= 0}
        if found.exception >= 0:
            self.exceptions.add(policy.exceptions.entries[found.exception].name)


def run_cases(
    policy: Policy,
    surroundings: Surroundings,
    cases: Sequence[Case],
    now: float,
    covered: Covered | None = None,
    limits: Limits = NO_LIMITS,
) -> tuple[Failure, ...]:
    """
    Run cases and give those that fail, in their order.

    A case without a time is tried now and whenever hours begin or end in the week that follows, since it must
    not depend on when it is run.  What decided is noted in ``covered``.

    Exceptions that do not say when they begin do so now: a case of last month is not theirs, unless it names
    one.
    """
    is_any_time = any(case.at is None for case in cases)
    instants = tuple(_instants(policy, now)) if is_any_time else ()
    loaded = policy.as_loaded(now)
    tried = (
        (case, _run(policy if case.exception else loaded, surroundings, case, instants, covered, limits))
        for case in cases
    )
    return tuple(Failure(case, message) for case, message in tried if message)


def _run(
    policy: Policy,
    surroundings: Surroundings,
    case: Case,
    instants: Sequence[float],
    covered: Covered | None,
    limits: Limits,
) -> str:
    """What is wrong with the outcome of a case, empty when nothing is."""
    for at in instants if case.at is None else (case.at,):
        try:
            asked = facts_for(case.question(at), surroundings, policy.asks_who)
        except ValueError as wrong:
            return str(wrong)
        if covered is not None and not asked.is_challenged:
            covered.take(policy, asked.facts)
        wrong_words = _difference(case, asked, policy.decide(asked.facts)) or _other_limits(
            case, asked, limits
        )
        if wrong_words:
            return f"{wrong_words}, {_request(asked.facts)} at {clock(at, policy.time_zone)}"
    return ""


def _difference(case: Case, asked: Asked, decision: Decision) -> str:
    if asked.is_challenged:
        if case.expect == CHALLENGE:
            return ""
        return f"{_expected(case)}, got challenge: the proxy asks to sign in first; give the test a user"
    if case.expect != decision.effect or case.rule not in ("", decision.rule):
        by = f"'{decision.rule}'" if decision.rule else "no rule"
        return f"{_expected(case)}, got {decision.effect} by {by}: {decision.reason}"
    return _beside(case, decision)


def _other_limits(case: Case, asked: Asked, limits: Limits) -> str:
    """What is wrong with the limits that hold."""
    if case.limits is None or asked.is_challenged:
        return ""
    found = {one.limit.name: one.limit for one in limits.find(asked.facts)}
    if found.keys() == case.limits:
        return ""
    wanted = ", ".join(f"'{name}'" for name in sorted(case.limits)) or "none"
    got = ", ".join(f"'{name}' ({limit.in_words})" for name, limit in sorted(found.items())) or "none"
    return f"expected the limits {wanted}, got {got}"


def _expected(case: Case) -> str:
    return f"expected {case.expect}" + (f" by '{case.rule}'" if case.rule else "")


def _beside(case: Case, decision: Decision) -> str:
    """What is wrong with a decision beside its effect: with what a rule in shadow or an exception did."""
    for wanted, got, what in (
        (case.would_block, decision.would_block, "refusal in shadow"),
        (case.exception, decision.exception, "exception"),
    ):
        if wanted is not None and wanted != got:
            there_is = f"'{got}'" if got else "none"
            return (
                f"expected the {what} '{wanted}', got {there_is}"
                if wanted
                else f"expected no {what}, got {there_is}"
            )
    return ""


def _request(facts: Facts) -> str:
    who = facts.identity.name or "nobody"
    return f"for {who} asking {facts.method} {facts.host.uri_host}:{facts.port}"


def _instants(policy: Policy, now: float) -> Iterator[float]:
    """Now, and each time in the week that follows at which other rules come into force."""
    at = now
    for _ in range(MAX_INSTANTS):
        yield at
        at = policy.next_change(at)
        if at > now + ANY_TIME_SECONDS:
            return
