"""The policy's own tests: who asks for what when, and what must come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from corpproxy.errors import NOWHERE, Place
from corpproxy.policy.decide import Policy
from corpproxy.policy.model import Decision, Facts
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
    ``safety: connect_ports`` and the like.  ``at`` is POSIX seconds, None for any time.  The
    other fields are those of `Question`.
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
    place: Place = NOWHERE

    def question(self, at: float) -> Question:
        """The question that it asks, at one time."""
        return Question(self.url, at, self.method, self.user, self.groups, self.client, self.listener)


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


def run_cases(
    policy: Policy, surroundings: Surroundings, cases: Sequence[Case], now: float
) -> tuple[Failure, ...]:
    """
    Run cases and give those that fail, in their order.

    A case without a time is tried now and whenever hours begin or end in the week that follows, since it must
    not depend on when it is run.
    """
    instants = tuple(_instants(policy, now))
    return tuple(
        Failure(case, message) for case in cases if (message := _run(policy, surroundings, case, instants))
    )


def _run(policy: Policy, surroundings: Surroundings, case: Case, instants: Sequence[float]) -> str:
    """What is wrong with the outcome of a case, empty when nothing is."""
    for at in instants if case.at is None else (case.at,):
        try:
            asked = facts_for(case.question(at), surroundings)
        except ValueError as wrong:
            return str(wrong)
        wrong_words = _difference(case, asked, policy.decide(asked.facts))
        if wrong_words:
            return f"{wrong_words}, {_request(asked.facts)} at {clock(at, policy.time_zone)}"
    return ""


def _difference(case: Case, asked: Asked, decision: Decision) -> str:
    got = CHALLENGE if asked.is_challenged else str(decision.effect)
    by = "" if asked.is_challenged else decision.rule
    if got == case.expect and case.rule in ("", by):
        return ""
    expected = f"expected {case.expect}" + (f" by '{case.rule}'" if case.rule else "")
    if asked.is_challenged:
        return f"{expected}, got challenge: the proxy asks to sign in first; give the test a user"
    decided = f"'{by}'" if by else "no rule"
    return f"{expected}, got {got} by {decided}: {decision.reason}"


def _request(facts: Facts) -> str:
    who = facts.identity.name or "nobody"
    return f"for {who} asking {facts.method} {facts.host.uri_host}:{facts.port}"


def _instants(policy: Policy, now: float) -> Iterator[float]:
    """Now, and each time in the week that follows at which other rules come into force."""
    at = now
    for _ in range(MAX_INSTANTS):
        yield at
        at = policy.table.next_change(at)
        if at > now + ANY_TIME_SECONDS:
            return
