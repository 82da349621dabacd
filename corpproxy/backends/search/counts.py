"""How often the record says that each rule and exception decided, and how far back the record goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from corpproxy.audit.reached import Reached
from corpproxy.audit.record import UnreadableRecord
from corpproxy.audit.times import utc_text
from corpproxy.backends.records.reader import Complain, lines
from corpproxy.backends.records.segments import segment_names


@dataclass(frozen=True, slots=True)
class Counted:
    """
    What was counted.

    ``begins`` is when the oldest record that there is was begun, in POSIX seconds; None without any.
    """

    reached: Reached
    begins: float | None

    def is_short_of(self, since: float) -> bool:
        """Whether the record does not go back so far."""
        return self.begins is None or self.begins > since


def counted(folder: Path, since: float, complain: Complain) -> Counted:
    """
    Count the exchanges that began at ``since``, POSIX seconds, or later.

    :raises OSError: when the folder cannot be read.
    """
    reached = Reached(utc_text(since))
    take = reached.take
    for place, line in lines(folder, complain, since):
        try:
            take(line)
        except UnreadableRecord as error:
            complain(f"{place}: not a record: {error}")
    begins = min((name.begun_at for name in segment_names(folder)), default=None)
    return Counted(reached, begins)
