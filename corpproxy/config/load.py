"""
A policy is loaded: its files are read, shaped, checked and built, and every problem is told at once.

Nothing that stands in the files makes this raise.  With an error there is no configuration; with warnings and
hints alone there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from corpproxy.config.build import build
from corpproxy.config.checks import check_meaning
from corpproxy.config.checks.examined import Examined
from corpproxy.config.checks.site import read_logo
from corpproxy.config.configuration import Configuration
from corpproxy.config.files import Files
from corpproxy.config.shape import shape
from corpproxy.config.sources import Sources, read_sources, version_of
from corpproxy.errors import Problem

# Problems that lie in other files than the policy's own.  A policy that ran before they came up
# runs on, rather than leaving a site without a proxy.
OF_OTHER_FILES = frozenset(
    {
        "unknown-category",
        "secret-missing",
        "secret-open-to-all",
        "bad-logo",
        "logo-missing",
        "geography-missing",
    }
)

# Gives the categories that the index in a state folder knows.
KnownCategories = Callable[[Path], frozenset[str] | None]


def no_index(state: Path) -> frozenset[str] | None:
    """What is known without an index."""
    return None


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    What came of loading a policy.

    ``texts`` are the octets of every file that was read, by path relative to the folder of the policy
    (or the whole path for a file elsewhere).
    """

    configuration: Configuration | None
    problems: tuple[Problem, ...]
    texts: Mapping[str, bytes]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stand in the way."""
        return tuple(problem for problem in self.problems if problem.is_error)

    @property
    def version(self) -> str:
        """The version that these texts are, whether they can be loaded or not."""
        return version_of(self.texts)


def load_policy(
    path: Path,
    files: Files,
    *,
    known_categories: KnownCategories = no_index,
    forgiving: bool = False,
) -> Loaded:
    """
    Load the policy file at ``path`` and what it includes.

    ``known_categories`` gives those of the lists' index in a state folder, None where there is none yet.
    ``forgiving`` turns errors that lie in other files (a password file that is gone) into warnings, for
    a policy that ran before.
    """
    sources = read_sources(path, files)
    problems = list(sources.problems)
    configuration = None
    if sources.root is not None:
        configuration = _loaded(sources, path, files, known_categories, problems)
    if forgiving:
        problems = [_forgiven(one) for one in problems]
    problems = _in_order(problems, str(path))
    if any(problem.is_error for problem in problems):
        configuration = None
    return Loaded(configuration, tuple(problems), sources.texts)


def _loaded(
    sources: Sources,
    path: Path,
    files: Files,
    known_categories: KnownCategories,
    problems: list[Problem],
) -> Configuration | None:
    assert sources.root is not None
    shaped = shape(sources.root)
    problems += shaped.problems
    if not sources.is_whole:
        # Names may stand in the file that could not be read.
        return None
    categories = known_categories(path.parent / shaped.model.state)
    examined = Examined(shaped, path.parent, files, categories, sources.attached)
    check_meaning(examined)
    problems += examined.problems
    if any(problem.is_error and problem.code not in OF_OTHER_FILES for problem in problems):
        return None
    logo = read_logo(examined)
    version = version_of(sources.texts)
    return build(shaped.model, shaped.root, path.parent, logo, version, sources.attached)


def _forgiven(problem: Problem) -> Problem:
    return replace(problem, severity="warning") if problem.code in OF_OTHER_FILES else problem


def _in_order(problems: list[Problem], main: str) -> list[Problem]:
    """
    Problems as they stand in the files, the policy file first.

    What follows from an alias that was refused is left out.
    """
    aliases = {problem.place for problem in problems if problem.code == "alias"}
    told = [one for one in dict.fromkeys(problems) if one.code == "alias" or one.place not in aliases]
    return sorted(told, key=lambda one: (one.place.file != main, one.place))
