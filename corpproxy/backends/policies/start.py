"""
A start on the policy, or on the last good one when an edit broke it.

Where the kept policies are stands in the policy itself, in ``state:``, and that file is what is broken.  So
the folder is looked for in what can still be read: the field, if the file is YAML at all; else the line
that begins with ``state:``; else ``state`` beside the policy, which is the default.  Kept policies found
there count only if they were kept for this very file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpproxy.backends.policies.files import DISK, Kept
from corpproxy.backends.policies.history import History, HistoryError, Version, whole_path
from corpproxy.config.configuration import Configuration
from corpproxy.config.files import Files
from corpproxy.config.load import KnownCategories, Loaded, load_policy, no_index
from corpproxy.config.nodes import Scalar, compose
from corpproxy.config.schema.policy_file import PolicyFile
from corpproxy.errors import Problem

_STATE_LINE = re.compile(rb"^state[ \t]*:[ \t]*['\"]?([^'\"#\r\n]+)", re.MULTILINE)

# Says what is wrong with a configuration although it could be loaded: the policy's tests, a backend.
Objections = Callable[[Configuration], Sequence[Problem]]


@dataclass(frozen=True, slots=True)
class Started:
    """
    What to run.

    ``configuration`` is None when neither the policy nor a kept one can run.  ``problems`` are those of the
    policy file, whichever of the two it is.  ``texts`` are those of the configuration, to be kept.
    """

    configuration: Configuration | None
    problems: tuple[Problem, ...]
    is_last_good: bool
    texts: Mapping[str, bytes]


def no_objections(configuration: Configuration) -> Sequence[Problem]:
    """Take every configuration that loads."""
    return ()


def start_configuration(
    path: Path,
    *,
    known_categories: KnownCategories = no_index,
    objections: Objections = no_objections,
    files: Files = DISK,
) -> Started:
    """Load the policy at ``path``; when it cannot run, the last good one."""
    loaded = load_policy(path, files, known_categories=known_categories)
    problems = loaded.problems
    if loaded.configuration is not None:
        objected = tuple(objections(loaded.configuration))
        problems += objected
        if not any(problem.is_error for problem in objected):
            return Started(loaded.configuration, problems, False, loaded.texts)
    for state in possible_state_folders(path, files):
        good = last_good(path, state, files)
        if good is not None and good.configuration is not None:
            return Started(good.configuration, problems, True, good.texts)
    return Started(None, problems, False, loaded.texts)


def last_good(path: Path, state: Path, files: Files = DISK) -> Loaded | None:
    """Load the version of this policy that ran last, from a state folder; None when there is none."""
    history = History(state)
    version: Version | None = history.last_good()
    if version is None or version.policy != whole_path(path):
        return None
    try:
        texts = history.texts(version)
    except HistoryError:
        return None
    return load_policy(path, Kept(texts, path.parent, files), forgiving=True)


def possible_state_folders(path: Path, files: Files = DISK) -> Iterator[Path]:
    """Where the state of a policy may be, the likeliest first, even when its file is broken."""
    try:
        octets = files.read(path)
    except OSError:
        octets = b""
    seen = set()
    default = PolicyFile.model_fields["state"].default
    for written in (_state_field(octets, path), _state_line(octets), default):
        if written and written not in seen and "\0" not in written:
            seen.add(written)
            yield path.parent / written


def _state_field(octets: bytes, path: Path) -> str:
    root, _ = compose(octets, str(path))
    node = root.fields.get("state") if root is not None else None
    return node.text.strip() if isinstance(node, Scalar) else ""


def _state_line(octets: bytes) -> str:
    found = _STATE_LINE.search(octets)
    return found[1].decode("utf-8", "surrogateescape").strip() if found else ""
