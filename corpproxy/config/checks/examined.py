"""The policy under examination: what the checks read, and where they say what they found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from corpproxy.config.attached import Attached
from corpproxy.config.files import Files
from corpproxy.config.nodes import Path as Steps
from corpproxy.config.nodes import Table, node_at, place_of
from corpproxy.config.schema.policy_file import PolicyFile
from corpproxy.config.shape import Shaped
from corpproxy.errors import Place, Problem


@dataclass(slots=True)
class Examined:
    """
    The policy under examination.

    ``folder`` is where its relative paths begin.  ``known_categories`` are those of the lists' index, None
    when there is none yet; ``attached`` are the files that it names beside those it includes.
    """

    shaped: Shaped
    folder: Path
    files: Files
    known_categories: frozenset[str] | None = None
    attached: Attached = field(default_factory=Attached)
    problems: list[Problem] = field(default_factory=list)

    @property
    def model(self) -> PolicyFile:
        """The policy as far as its shape is sound."""
        return self.shaped.model

    def place(self, path: Steps) -> Place:
        """Where the value at a path stands."""
        return place_of(self.shaped.root, path)

    def say(self, path: Steps, code: str, message: str, severity: str = "error") -> None:
        """Note a problem with the value at a path."""
        self.problems.append(Problem(self.place(path), code, message, severity))

    def say_of_key(self, path: Steps, code: str, message: str, severity: str = "error") -> None:
        """Note a problem with the key at a path."""
        place = place_of(self.shaped.root, path, key=True)
        self.problems.append(Problem(place, code, message, severity))

    def names_in(self, path: Steps) -> frozenset[str]:
        """The keys of the table at a path as they are written, also of entries that were refused."""
        node = node_at(self.shaped.root, path)
        taken_out = frozenset(self.shaped.taken_out.get(path, ()))
        return taken_out | (frozenset(node.fields) if isinstance(node, Table) else frozenset())

    def file(self, written: str) -> Path:
        """A path of the policy as the disk knows it."""
        return self.folder / written
