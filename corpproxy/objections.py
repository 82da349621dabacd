"""What speaks against a configuration that could be loaded: its own tests, and what has ended in it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from corpproxy.assembly import classifier_of, surroundings_of
from corpproxy.backends.geography import geography_problems
from corpproxy.config.configuration import Configuration
from corpproxy.destination.classifier import unread
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.sources import ListSource
from corpproxy.errors import Problem
from corpproxy.policy.cases import Case, Failure, run_cases
from corpproxy.policy.overdue import overdue
from corpproxy.policy.reasons import both

# The code of such a problem.
TEST_FAILED = "test-failed"


def objections(
    configuration: Configuration, index: CategoryIndex | None, now: float | None = None
) -> Sequence[Problem]:
    """
    Run the policy's own tests: a test that fails refuses the policy.  What is past its end is a warning.

    While a list has not been read, a test that could come out otherwise with it only warns: a proxy that
    starts for the first time, or without one of its lists, has to start; it refuses what it cannot know.
    """
    at = time.time() if now is None else now
    return [
        *geography_problems(configuration.geography),
        *_failing(configuration, index, at),
        *overdue(configuration.policy, at),
    ]


def _failing(configuration: Configuration, index: CategoryIndex | None, at: float) -> list[Problem]:
    """The tests that fail."""
    index = index if configuration.lists else None
    classifier = classifier_of(configuration, index)
    surroundings = surroundings_of(configuration, classifier)

    def failures(cases: Sequence[Case], missing: Iterable[str]) -> tuple[Failure, ...]:
        exemptions = configuration.exemptions.with_missing(frozenset(missing))
        asked = replace(surroundings, exemptions=exemptions)
        policy = configuration.policy.with_missing(missing)
        return run_cases(policy, asked, cases, at, limits=configuration.limits)

    failed = failures(configuration.cases, classifier.missing)
    lists = tuple(unread(configuration.lists, index)) if failed else ()
    if not lists:
        return [_objection(failure) for failure in failed]
    # What comes out the same with everything in these lists and with nothing does not depend on them.
    cases = [failure.case for failure in failed]
    everything = frozenset().union(*(one.categories for one in lists))
    certain = set(failures(cases, everything)) & set(failures(cases, ()))
    return [_objection(failure, () if failure in certain else lists) for failure in failed]


def _objection(failure: Failure, lists: Sequence[ListSource] = ()) -> Problem:
    """A test that failed; ``lists`` are those that could still change how it comes out."""
    if not lists:
        return Problem(failure.place, TEST_FAILED, failure.message)
    names = both([f"'{one.name}'" for one in lists])
    said = f"{failure.message}; this cannot be told before 'corpproxy lists build' has read {names}"
    return Problem(failure.place, TEST_FAILED, said, "warning")
