"""
Whether the files of a policy were edited: a ``stat`` of each, nothing is read.

What ``include:`` and ``include_exceptions:`` ask for, and which lists and calendars are files, is read from
the policy file, again when that changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from corpproxy.backends.policies.files import DISK
from corpproxy.config.attached import named_files
from corpproxy.config.files import Files
from corpproxy.config.nodes import Scalar, Sequence, compose
from corpproxy.config.sources import INCLUDE, INCLUDE_EXCEPTIONS

Stamp = tuple[str, int, int, int]


class PolicyWatch:
    """
    Looks at the files of one policy.

    An edit counts once two looks in a row see the same: an editor may be in the middle of writing.  One that
    was taken up, or refused, is no edit any more until somebody edits further.
    """

    def __init__(self, policy: Path, files: Files = DISK) -> None:
        self._policy = policy
        self._files = files
        self._patterns: tuple[str, ...] = ()
        self._main: Stamp | None = None
        self._known: tuple[Stamp, ...] = ()
        self._seen: tuple[Stamp, ...] = ()

    def note(self) -> None:
        """The policy is about to be read as it is now; call it before reading."""
        self._known = self._seen = self._stamps()

    def look(self) -> bool:
        """Whether there is an edit to take up."""
        now = self._stamps()
        settled, self._seen = now == self._seen, now
        return settled and now != self._known

    def _stamps(self) -> tuple[Stamp, ...]:
        main = _stamp(self._policy)
        if main != self._main:
            self._main = main
            self._patterns = self._included()
        folder = self._policy.parent
        found = [path for pattern in self._patterns for path in self._matching(folder, pattern)]
        return (main, *(_stamp(path) for path in dict.fromkeys(found)))

    def _matching(self, folder: Path, pattern: str) -> Iterable[Path]:
        if any(character in pattern for character in "*?["):
            return self._files.glob(folder, pattern)
        return [folder / pattern]

    def _included(self) -> tuple[str, ...]:
        """What is included; as before while the file cannot be read, for it is being edited."""
        try:
            root, _ = compose(self._files.read(self._policy), str(self._policy))
        except OSError:
            return self._patterns
        if root is None:
            return self._patterns
        wanted = [root.fields.get(INCLUDE), root.fields.get(INCLUDE_EXCEPTIONS)]
        nodes = [node for one in wanted for node in (one.items if isinstance(one, Sequence) else [one])]
        named = [*nodes, *named_files(root)]
        return tuple(one.text for one in named if isinstance(one, Scalar) and one.text)


def _stamp(path: Path) -> Stamp:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return str(path), 0, 0, 0
    return str(path), found.st_mtime_ns, found.st_size, found.st_ino
