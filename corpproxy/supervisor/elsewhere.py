"""What a worker has in the place of parts that its supervisor has for all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from corpproxy.audit.proof import End
from corpproxy.audit.sinks import SinkState
from corpproxy.destination.sources import ListSource
from corpproxy.errors import Problem


class OpenedLists:
    """The category lists of a worker: whoever builds the index tells when there is a new one."""

    problems: tuple[Problem, ...] = ()
    statuses: tuple[()] = ()
    outcomes: Mapping[str, int] = {}
    ages: Mapping[str, float] = {}
    entries: Mapping[str, int] = {}

    def start(self) -> None:
        """The index was opened before."""

    def take(self, sources: tuple[ListSource, ...]) -> None:
        """Nothing is fetched here."""

    def stop(self) -> None:
        """Nothing is watched here."""


class Elsewhere:
    """In the place of what the supervisor does: commands, reloads and signals."""

    def start(self) -> None:
        """Nothing begins here."""

    def stop(self) -> None:
        """Nothing ends here."""


class NoErrands(Elsewhere):
    """In the place of errands, which the supervisor runs for all."""

    def written(self) -> None:
        """Nothing was left here."""


class KeptElsewhere:
    """In the place of what looks after closed segments, which the supervisor does for all."""

    settings: object = None
    packed = deleted = octets = ends = 0
    states: Mapping[str, SinkState] = MappingProxyType({})

    def use(self, settings: object) -> None:
        """Nothing is delivered from here."""

    def problems(self) -> list[str]:
        """There are none here."""
        return []

    def look(self) -> None:
        """Nothing is looked after here."""

    def close(self) -> None:
        """Nothing ends here."""


class SignedElsewhere:
    """In the place of the checkpoints: the supervisor, who has the key, is told how far the chain is."""

    failing_since = 0.0
    failing_reason = ""
    copies: tuple[Path, ...] = ()
    made = 0

    def __init__(self) -> None:
        self.end: End | None = None

    def note(self, chain: object, end: End | None) -> None:
        """Keep it for the next report."""
        self.end = end

    def look(self) -> None:
        """Nothing is signed here."""

    def close(self) -> None:
        """The last report says how far it came."""
