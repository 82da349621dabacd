"""
The index of the category lists in the state folder: opening it, building it, what is wrong with the lists.

This is what the command line uses, which waits for a build; the service uses
`corpproxy.backends.lists.watch`, which does not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

import corpproxy
from corpproxy.backends.lists.build import Job
from corpproxy.backends.lists.opening import map_index
from corpproxy.backends.lists.read import signature
from corpproxy.backends.lists.shelf import read_shelf
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_file import BadIndex
from corpproxy.destination.index_meta import KEPT, MISSING
from corpproxy.destination.sources import BLOCK, ListSource
from corpproxy.errors import Place, Problem

INDEX_FILE = "lists.index"

# Where our own package lies; worked out before anybody changes the working folder.
_ROOT = str(Path(corpproxy.__file__).resolve().parent.parent)

# The largest list that there is takes a minute; what takes so long hangs.
BUILD_SECONDS = 1800.0


class ListsNotBuilt(Exception):
    """The index could not be built; the text says why, in words for the administrator."""


def index_path(state: Path) -> Path:
    """Where the index stands in the state folder."""
    return state / INDEX_FILE


def existing_index(state: Path) -> tuple[CategoryIndex | None, Problem | None]:
    """Open the index as it was built last, if it can be used; a problem says why it cannot."""
    path = index_path(state)
    try:
        return map_index(path), None
    except FileNotFoundError:
        return None, None
    except (OSError, BadIndex) as error:
        said = f"the index of the category lists cannot be used and is built again: {error}"
        return None, Problem(Place(str(path)), "bad-list-index", said, "warning")


def open_index(state: Path) -> CategoryIndex | None:
    """Open the index of a state folder as it was built last; None where there is none that can be used."""
    return existing_index(state)[0]


def is_current(sources: Sequence[ListSource], index: CategoryIndex | None) -> bool:
    """Whether an index was built from the lists as they look now; without lists there is nothing to build."""
    if index is None:
        return not sources
    built = {report.name: report.signature for report in index.meta.lists}
    return built == {source.name: signature(source) for source in sources}


def build_lists(sources: Sequence[ListSource], state: Path) -> CategoryIndex:
    """Build the index in a child process and open it; raises ListsNotBuilt."""
    job = msgspec.json.encode(Job.of(sources, index_path(state)))
    argv, environment = build_command()
    try:
        child = subprocess.run(
            argv, input=job, capture_output=True, env=environment, timeout=BUILD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ListsNotBuilt(str(error)) from error
    if child.returncode:
        raise ListsNotBuilt(failure_in_words(child.returncode, child.stderr))
    try:
        return map_index(index_path(state))
    except (OSError, BadIndex) as error:
        raise ListsNotBuilt(str(error)) from error


def current_index(sources: Sequence[ListSource], state: Path) -> tuple[CategoryIndex | None, list[Problem]]:
    """
    Give the index of the lists as they are now, built first where it has to be, for the command line.

    Where it cannot be built, the one of before is given, with a problem that says so.
    """
    if not sources:
        return None, []
    index, problem = existing_index(state)
    problems = [problem] if problem is not None else []
    if not is_current(sources, index):
        try:
            index = build_lists(sources, state)
        except ListsNotBuilt as error:
            problems.append(not_built(state, str(error)))
    return index, [*problems, *list_problems(sources, index)]


def list_problems(
    sources: Sequence[ListSource], index: CategoryIndex | None, now: float | None = None
) -> list[Problem]:
    """
    Say which lists are missing, kept from before, or stale, at their places in the policy.

    ``now`` is POSIX seconds; without it no list is stale.
    """
    problems = []
    for source in sources:
        said = _state(source, index, now)
        if said is not None:
            code, message = said
            problems.append(Problem(source.place, code, f"list '{source.name}': {message}", "warning"))
    return problems


def not_built(state: Path, reason: str) -> Problem:
    """The problem that the index could not be built; what was in force stays."""
    said = f"the index of the category lists could not be built, what it said before stays in force: {reason}"
    return Problem(Place(str(index_path(state))), "lists-not-built", said, "warning")


def build_command(module: str = "lists.build") -> tuple[list[str], dict[str, str]]:
    """
    Give the arguments and the environment of a child that builds an index, or does what another module does.

    It finds the same corpproxy as we are, and nothing in the folder where it happens to be started.
    """
    before = os.environ.get("PYTHONPATH")
    search = os.pathsep.join([_ROOT, before] if before else [_ROOT])
    return [sys.executable, "-P", "-m", f"corpproxy.backends.{module}"], {**os.environ, "PYTHONPATH": search}


def failure_in_words(code: int | None, stderr: bytes) -> str:
    """Say why a child that builds an index failed."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    said = lines[-1] if lines else "it said nothing"
    return said if code == 1 and len(lines) == 1 else f"the process ended with {code}: {said}"


def _state(source: ListSource, index: CategoryIndex | None, now: float | None) -> tuple[str, str] | None:
    report = index.report(source.name) if index is not None else None
    if report is None or report.state == MISSING:
        why = report.problem if report is not None else "it is not read yet"
        if source.fetch is not None and not source.path.exists():
            why = _not_fetched(source)
        then = (
            "rules that block by its categories block everything"
            if source.when_missing == BLOCK
            else ("its categories have no names")
        )
        return "list-missing", f"{why}; until then {then}"
    if report.state == KEPT:
        return "list-kept", f"{report.problem}; what it said before stays in force"
    if source.fetch is None and now is not None and source.refresh and now - report.modified > source.refresh:
        days = (now - report.modified) / 86400
        return "list-stale", f"it is {days:.1f} days old; fetch it again, or raise its refresh:"
    return None


def _not_fetched(source: ListSource) -> str:
    """Why no version of a list that is fetched is in force."""
    state = read_shelf(source.path.parent)
    if state.held is not None:
        why = "; ".join(state.held.reasons)
        return f"its first version is held ({why}); 'corpproxy lists accept {source.name}' takes it up"
    if state.failures:
        return f"it could not be fetched: {state.said}"
    return "it is not fetched yet"
