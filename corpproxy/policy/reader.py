"""Several facts read at once: what decisions, and what parts of tables say, are remembered by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from corpproxy.policy.model import Facts


def reader(names: Iterable[str]) -> Callable[[Facts], Any]:
    """
    Give what reads these attributes of facts (dotted): as a tuple, or of a single one its value.

    An ``attrgetter`` costs twice as much, which a remembered decision would feel.  So the expression is
    written out and compiled, as ``collections.namedtuple`` does it.
    """
    read = sorted(set(names))
    if not all(part.isidentifier() for name in read for part in name.split(".")):
        raise ValueError(f"these are no names of attributes: {read}")
    values = ", ".join(f"facts.{name}" for name in read)
    found: Callable[[Facts], Any] = eval(f"lambda facts: ({values})")  # noqa: S307 names of our own, looked at
    return found
