"""
What the store asks of a database: a connection of SQLite's has it, and ours to PostgreSQL has the same.

The statements of the store are written once, in what both databases understand, with SQLite's marks for
values (``?`` and ``:name``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

Outcome = TypeVar("Outcome")


class Cursor(Protocol):
    """What a statement came to."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """Give the next row, None behind the last."""

    def fetchall(self) -> list[Any]:
        """Give all rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """Give the rows one after the other."""


class Connection(Protocol):
    """A connection to a database, inside a transaction of the caller's."""

    def execute(self, statement: str, values: Any = ..., /) -> Cursor:
        """Do one statement."""

    def executemany(self, statement: str, rows: Iterable[Any], /) -> Any:
        """Do a statement with the values of each row."""


# What is done with a connection, all of it or nothing.
Work = Callable[[Connection], Outcome]
