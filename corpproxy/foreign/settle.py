"""
A policy is written, loaded as the service would load it, and written again until there is nothing to say.

The reader of policies refuses a rule that can never match, and a proxy that strangers can use.  Other proxies
do not mind either: such a rule becomes a comment, and such a proxy listens to its own machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from corpproxy.config.configuration import Configuration
from corpproxy.config.files import Files
from corpproxy.config.load import load_policy
from corpproxy.errors import Place, Problem
from corpproxy.foreign.draft import Draft
from corpproxy.foreign.examples import tests_for
from corpproxy.foreign.overlay import Overlay

POLICY_FILE = "policy.yaml"
# Each round takes rules out; real configurations need two or three.
MAX_ROUNDS = 50


# The kinds of problems with rules that nothing is left for.
_FOR_NOTHING = frozenset({"never-matches", "contradiction"})


class Composes(Protocol):
    """What writes a policy."""

    draft: Draft
    open: list[Problem]
    counts: dict[str, int]

    def files(self) -> dict[str, bytes]:
        """The files to write, by their paths below the folder of the policy."""

    def rule_at(self, line: int) -> str:
        """The name of the rule that stands at a line of the policy."""


class CannotBeLoaded(Exception):
    """An import wrote what the reader of policies refuses; a fault of ours, told with the problem."""


def settle(compose: Callable[[dict[str, str], bool], Composes], files: Files, folder: Path) -> Composes:
    """
    Write a policy until it loads without a word.

    ``compose`` is given the rules to leave out with the reasons, and whether to listen to this machine alone.
    """
    dropped: dict[str, str] = {}
    alone = False
    for _ in range(MAX_ROUNDS):
        composer = compose(dropped, alone)
        overlay = Overlay({folder / name: octets for name, octets in composer.files().items()}, files)
        loaded = load_policy(folder / POLICY_FILE, overlay)
        problems = loaded.problems
        more = _never_matching(problems, composer)
        is_open = any(one.code == "open-to-strangers" for one in problems)
        if not more.keys() - dropped.keys() and (alone or not is_open):
            if loaded.configuration is None:
                raise CannotBeLoaded(str(loaded.errors[0]))
            _write_tests(composer.draft, loaded.configuration)
            return composer
        dropped, alone = dropped | more, alone or is_open
    raise CannotBeLoaded("rules come and go")


def _write_tests(draft: Draft, configuration: Configuration) -> None:
    """Write the tests that keep what was taken over as it is."""
    lines = tests_for(configuration)
    if lines:
        draft.blank()
        draft.comment(
            "What comes out now, a request for each rule: an edit that changes it is refused until its "
            "test is changed too."
        )
        draft.add(*lines)


def _never_matching(problems: Iterable[Problem], composer: Composes) -> dict[str, str]:
    """The rules that can never match, and why the reader of policies says so."""
    return {
        name: _reason(problem)
        for problem in problems
        if problem.code in _FOR_NOTHING and (name := composer.rule_at(problem.place.line))
    }


def _reason(problem: Problem) -> str:
    """Why nothing is left for a rule, without what the comment says already."""
    never = problem.message.partition("can never match: ")[2]
    return never or problem.message.partition(" and ")[2].partition(";")[0]


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems by their places, each once."""
    return tuple(sorted(dict.fromkeys(problems), key=_place))


def _place(problem: Problem) -> Place:
    return problem.place
