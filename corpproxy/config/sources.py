"""
The policy's texts: its file and those that it includes, merged into one tree.

An included file's tables come in as if they stood where ``include:`` stands: lists are joined, tables are
merged, and a value that two files give is a problem.  So a file of rules can come before or after those of
the main file.  Files that ``include_exceptions:`` asks for may only hold ``exceptions:``, so that whoever may
write them cannot change anything else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from corpproxy.config.attached import Attached, read_attached
from corpproxy.config.files import Files
from corpproxy.config.nodes import Node, Scalar, Sequence, Table, compose
from corpproxy.errors import Place, Problem

# A folder of rule files, one for each department; a pattern that finds more has found something else.
MAX_FILES = 200

INCLUDE = "include"

# Files of people who may change exceptions and nothing else.
INCLUDE_EXCEPTIONS, EXCEPTIONS = "include_exceptions", "exceptions"


@dataclass(slots=True)
class Sources:
    """
    What was read.

    ``root`` is None when the policy file itself could not be read.  ``texts`` are the octets of every file,
    by its path relative to the folder of the policy.  ``is_whole`` says that every file could be read that
    may hold tables; ``attached`` are the others: lists, calendars.
    """

    root: Table | None = None
    texts: dict[str, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    attached: Attached = field(default_factory=Attached)
    is_whole: bool = True


def version_of(texts: Mapping[str, bytes]) -> str:
    """The version of a policy: 12 hexadecimal digits of a hash over all its texts and their names."""
    digest = hashlib.sha256()
    for name, octets in sorted(texts.items()):
        for part in (name.encode("utf-8", "surrogateescape"), octets):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:12]


def read_sources(path: Path, files: Files) -> Sources:
    """Read a policy file and what it includes."""
    sources = Sources()
    sources.root = _read(path, path.parent, files, sources, Place(str(path)))
    if sources.root is None:
        return sources
    wanted = sources.root.fields.get(INCLUDE)
    if wanted is not None:
        _include(wanted, path, files, sources)
    wanted = sources.root.fields.get(INCLUDE_EXCEPTIONS)
    if wanted is not None:
        _include_exceptions(wanted, path, files, sources)
    sources.attached = read_attached(sources.root, path.parent, files, sources.texts, sources.problems)
    return sources


def _read(path: Path, folder: Path, files: Files, sources: Sources, place: Place) -> Table | None:
    try:
        octets = files.read(path)
    except FileNotFoundError:
        sources.problems.append(Problem(place, "file-missing", f"there is no file {path}"))
    except OSError as error:
        said = f"cannot read {path}: {error.strerror or error}"
        sources.problems.append(Problem(place, "file-unreadable", said))
    else:
        sources.texts[_relative(path, folder)] = octets
        root, problems = compose(octets, str(path))
        sources.problems += problems
        if root is not None:
            return root
    sources.is_whole = False
    return None


def _relative(path: Path, folder: Path) -> str:
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return path.as_posix()


def _include(wanted: Node, path: Path, files: Files, sources: Sources) -> None:
    assert sources.root is not None
    root = sources.root
    above, below = _parted(root)
    for included in _included(wanted, path, files, sources):
        _refuse_nested(included, sources)
        _merge(above, included, sources)
    _merge(above, below, sources)
    root.fields, root.keys = above.fields, above.keys


def _include_exceptions(wanted: Node, path: Path, files: Files, sources: Sources) -> None:
    assert sources.root is not None
    for included in _included(wanted, path, files, sources):
        _keep_exceptions(included, sources)
        _merge(sources.root, included, sources)


def _included(wanted: Node, path: Path, files: Files, sources: Sources) -> Iterator[Table]:
    """The files that are asked for, as far as they can be read."""
    patterns = wanted.items if isinstance(wanted, Sequence) else [wanted]
    found = _found((one for one in patterns if isinstance(one, Scalar) and one.text), path, files, sources)
    if len(found) > MAX_FILES:
        said = f"these are {len(found)} files; at most {MAX_FILES} are included"
        sources.problems.append(Problem(wanted.place, "too-many-files", said))
        sources.is_whole = False
        return
    for one, place in found.items():
        included = _read(one, path.parent, files, sources, place)
        if included is not None:
            yield included


def _keep_exceptions(included: Table, sources: Sources) -> None:
    for key in list(included.fields):
        if key != EXCEPTIONS:
            said = f"this file may hold '{EXCEPTIONS}:' only; '{key}' belongs in the policy file"
            sources.problems.append(Problem(included.keys[key], "only-exceptions", said))
            del included.fields[key], included.keys[key]


def _found(patterns: Iterable[Scalar], path: Path, files: Files, sources: Sources) -> dict[Path, Place]:
    """The files to include, each once, with the place that asks for it."""
    found: dict[Path, Place] = {}
    for pattern in patterns:
        is_pattern = any(character in pattern.text for character in "*?[")
        if Path(pattern.text).is_absolute() and is_pattern:
            said = f"'{pattern.text}': a pattern is relative to the folder of this file"
            sources.problems.append(Problem(pattern.place, "bad-pattern", said))
            continue
        if not is_pattern:
            found.setdefault(path.parent / pattern.text, pattern.place)
            continue
        matching = [one for one in files.glob(path.parent, pattern.text) if one != path]
        if not matching:
            said = f"no file fits '{pattern.text}'"
            sources.problems.append(Problem(pattern.place, "nothing-included", said, "warning"))
        for one in matching:
            found.setdefault(one, pattern.place)
    return found


def _parted(root: Table) -> tuple[Table, Table]:
    """The fields up to ``include:`` itself, and those after it."""
    above, below = Table(root.place), Table(root.place)
    side = above
    for key, node in root.fields.items():
        side.fields[key], side.keys[key] = node, root.keys[key]
        if key == INCLUDE:
            side = below
    return above, below


def _refuse_nested(included: Table, sources: Sources) -> None:
    if INCLUDE in included.fields:
        said = "an included file cannot include others; name them in the policy file"
        sources.problems.append(Problem(included.keys[INCLUDE], "nested-include", said))
        del included.fields[INCLUDE], included.keys[INCLUDE]


def _merge(into: Table, more: Table, sources: Sources) -> None:
    for key, node in more.fields.items():
        present = into.fields.get(key)
        if present is None:
            into.fields[key], into.keys[key] = node, more.keys[key]
        elif isinstance(present, Table) and isinstance(node, Table):
            _merge(present, node, sources)
        elif isinstance(present, Sequence) and isinstance(node, Sequence):
            present.items += node.items
        else:
            said = f"'{key}' is here a second time; the first is at {into.keys[key]}"
            sources.problems.append(Problem(more.keys[key], "duplicate-field", said))
