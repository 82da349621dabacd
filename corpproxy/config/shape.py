"""
The shape of a policy: from the tree of nodes to models, every problem of every table at once.

One wrong value must not hide what is wrong elsewhere.  So what is refused is taken out of the tree and the
rest is checked again until it is sound: the checks that come after (names, reachability, files) then speak
of everything that could be read, and are told what had to be taken out, so that they do not complain
of its absence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from corpproxy.config.nodes import Path, Table, existing, node_at, plain, remove
from corpproxy.config.schema.policy_file import PolicyFile
from corpproxy.config.shorthand import expand
from corpproxy.config.wording import shape_problem
from corpproxy.counted import counted
from corpproxy.errors import Place, Problem

# Taking a field out can leave its table without something it must have, and so on up to the root.
MAX_ROUNDS = 10

# Problems of shape that are told one by one; who has more of them has mended the first thousand before
# the others matter, and a file of the largest size could have a million.
MAX_TOLD = 1_000


@dataclass(slots=True)
class Shaped:
    """
    What could be read of a policy.

    ``root`` is the tree that ``model`` was made from; ``damaged`` are the places of the entries and
    tables from which something was taken out, ``taken_out`` the keys that each table lost.
    """

    root: Table
    model: PolicyFile
    problems: list[Problem]
    damaged: set[Place] = field(default_factory=set)
    taken_out: dict[Path, set[str]] = field(default_factory=dict)

    def is_damaged(self, path: Path) -> bool:
        """Whether something was taken out of the entry or table at a path."""
        node = node_at(self.root, path)
        if node is None:
            return bool(path) and str(path[-1]) in self.taken_out.get(path[:-1], ())
        return node.place in self.damaged


def shape(root: Table) -> Shaped:
    """Check a tree against the schema; the tree is written out, and loses what is refused."""
    expand(root, PolicyFile)
    shaped = Shaped(root, PolicyFile(), [])
    for round_ in range(MAX_ROUNDS):
        try:
            shaped.model = PolicyFile.model_validate(plain(root))
            return shaped
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
        _tell(shaped, [one for one in errors if not (round_ and _is_consequence(shaped, one))])
        # The last entries of a list first, so that the numbers of those before them stay true.
        for path in sorted({_refused(root, one) for one in errors}, key=_order, reverse=True):
            _take_out(shaped, path)
    return shaped


def _tell(shaped: Shaped, errors: Sequence[Mapping[str, Any]]) -> None:
    shaped.problems += [shape_problem(one, shaped.root) for one in errors[:MAX_TOLD]]
    if len(errors) > MAX_TOLD:
        place = shape_problem(errors[MAX_TOLD], shaped.root).place
        more = counted(len(errors) - MAX_TOLD, "more problem is", "more problems are")
        said = f"{more} here and elsewhere; mend the first ones"
        shaped.problems.append(Problem(place, "more-problems", said))


def _is_consequence(shaped: Shaped, error: Mapping[str, Any]) -> bool:
    """Whether a table is only refused because something was taken out of it."""
    path: Path = tuple(error["loc"])
    return shaped.is_damaged(path[:-1] if error["type"] == "missing" else path)


def _refused(root: Table, error: Mapping[str, Any]) -> Path:
    """The path of what must go: the value, or the table that lacks one."""
    path: Path = tuple(error["loc"])
    return existing(root, path[:-1] if error["type"] == "missing" else path)


def _order(path: Path) -> list[tuple[str, int]]:
    return [("", step) if isinstance(step, int) else (step, 0) for step in path]


def _take_out(shaped: Shaped, path: Path) -> None:
    if not path:
        shaped.root.fields.clear()
        shaped.root.keys.clear()
        return
    for depth in range(len(path)):
        node = node_at(shaped.root, path[:depth])
        if node is not None:
            shaped.damaged.add(node.place)
    if isinstance(path[-1], str):
        shaped.taken_out.setdefault(path[:-1], set()).add(path[-1])
    remove(shaped.root, path)
