"""A policy to put questions to, as the service would run it: with its lists, its people and their groups."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from corpproxy.assembly import classifier_of, surroundings_of
from corpproxy.backends.lists.files import existing_index, is_current
from corpproxy.backends.policies.files import DISK
from corpproxy.cli.failed import CommandFailed
from corpproxy.config.configuration import Configuration
from corpproxy.config.load import load_policy
from corpproxy.destination.index import CategoryIndex
from corpproxy.policy.decide import Policy
from corpproxy.policy.question import Surroundings


@dataclass(frozen=True, slots=True)
class AskedPolicy:
    """A loaded policy from ``path``, and what its questions are answered with."""

    path: Path
    configuration: Configuration
    policy: Policy
    surroundings: Surroundings
    index: CategoryIndex | None


def asked_policy(path: Path) -> AskedPolicy:
    """
    Load the policy at ``path`` with the index of its lists as it was built last.

    Says on standard error when lists are not in the index as they stand.  Raises CommandFailed with all
    problems of a policy that cannot be loaded.
    """
    opened: list[CategoryIndex] = []
    loaded = load_policy(path, DISK, known_categories=lambda state: _known_categories(state, opened))
    configuration = loaded.configuration
    if configuration is None:
        raise CommandFailed("\n".join(str(problem) for problem in loaded.errors))
    index = opened[0] if opened else None
    if not is_current(configuration.lists, index):
        print("the lists are not in the index as they stand; run 'corpproxy lists build'", file=sys.stderr)
    classifier = classifier_of(configuration, index)
    policy = configuration.policy.with_missing(classifier.missing)
    return AskedPolicy(path, configuration, policy, surroundings_of(configuration, classifier), index)


def _known_categories(state: Path, opened: list[CategoryIndex]) -> frozenset[str] | None:
    """The categories of the index in a state folder; the index itself goes into ``opened``."""
    index, problem = existing_index(state)
    if problem is not None:
        print(problem, file=sys.stderr)
    if index is None:
        return None
    opened.append(index)
    return index.known_categories
