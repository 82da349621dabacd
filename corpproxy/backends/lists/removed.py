"""
What was fetched of lists that are not in the policy any more.

A line that somebody takes out of a policy by mistake, or goes back to, must not cost a list of millions.  So
a folder that belongs to no list is only noted at first, loudly, and deleted a week later.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from twisted.logger import Logger

from corpproxy.audit.times import utc_text
from corpproxy.backends.atomic_file import replace_file
from corpproxy.backends.lists.shelf import STATE_FILE, fetching_since
from corpproxy.destination.fetched_place import LISTS_FOLDER, folder_name
from corpproxy.destination.sources import ListSource

# A list that nobody puts back into the policy for so long is not wanted.
KEPT_SECONDS = 7 * 86_400.0

_MARK = "removed"


@dataclass(frozen=True, slots=True)
class RemovedList:
    """The folder of a list that was removed; ``goes_at`` is when it is deleted, 0 before it is noted."""

    name: str
    folder: Path
    goes_at: float


def removed_lists(state: Path, sources: Iterable[ListSource]) -> Iterator[RemovedList]:
    """The folders of lists that are not among some sources; what the service did not make is none of them."""
    wanted = {folder_name(one.name) for one in sources if one.fetch is not None}
    try:
        folders = sorted((state / LISTS_FOLDER).iterdir())
    except OSError:
        return
    for folder in folders:
        is_ours = not folder.is_symlink() and (folder / STATE_FILE).is_file()
        if is_ours and folder.name not in wanted:
            noted = _noted(folder)
            yield RemovedList(unquote(folder.name), folder, noted + KEPT_SECONDS if noted else 0.0)


class RemovedLists:
    """Deletes what was fetched of removed lists, once they have been gone for a while."""

    log = Logger()

    def __init__(self, state: Path) -> None:
        self._state = state

    def look(self, sources: Iterable[ListSource], now: float) -> None:
        """Note what belongs to no list, delete what was noted long ago, and forget of what came back."""
        sources = tuple(sources)
        for source in sources:
            if source.fetch is not None:
                with contextlib.suppress(OSError):
                    (source.path.parent / _MARK).unlink(missing_ok=True)
        for one in removed_lists(self._state, sources):
            try:
                self._one(one, now)
            except OSError as error:
                said = error.strerror or str(error)
                self.log.warn("{folder} cannot be deleted: {said}", folder=str(one.folder), said=said)

    def _one(self, removed: RemovedList, now: float) -> None:
        name, folder = removed.name, removed.folder
        if not removed.goes_at:
            replace_file(folder / _MARK, f"{now:.0f}\n".encode())
            self.log.warn(
                "list '{name}' is gone from the policy; {folder} is deleted at {at} unless it comes back",
                name=name,
                folder=str(folder),
                at=utc_text(now + KEPT_SECONDS),
            )
        elif now >= removed.goes_at and fetching_since(folder) is None:
            shutil.rmtree(folder)
            self.log.warn(
                "list '{name}' is gone from the policy for a week; {folder} is deleted",
                name=name,
                folder=str(folder),
            )


def _noted(folder: Path) -> float:
    """When a folder was noted first, in POSIX seconds; 0 where it was not."""
    try:
        return float((folder / _MARK).read_text())
    except (OSError, ValueError):
        return 0.0
