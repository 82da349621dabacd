"""Usage in SQLite: how sums are added, and how reports are read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from corpproxy.accounting.ledger import Usage
from corpproxy.accounting.report import By, NamedSums, UsageQuestion, UsageReport, report, slot_name

# Numbers of terms kept at hand; a school of a thousand visits some ten thousand hosts a day.
MAX_TERMS = 50_000

_ADD = """
INSERT INTO usage (slot, user, groups, categories, host, received, sent, exchanges)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (slot, user, groups, categories, host) DO UPDATE SET
    received = received + excluded.received,
    sent = sent + excluded.sent,
    exchanges = exchanges + excluded.exchanges
"""

_MAKE_TERM = "INSERT INTO term (kind, text) VALUES (?, ?) ON CONFLICT DO NOTHING"
_FIND_TERM = "SELECT id FROM term WHERE kind = ? AND text = ?"

_COLUMNS = {By.USER: "user", By.GROUP: "groups", By.CATEGORY: "categories", By.HOST: "host"}
_SUMS = "SUM(received) AS received, SUM(sent) AS sent, SUM(exchanges) AS exchanges"
_WHERE = "slot >= :first AND slot < :end"
_OF_USER = " AND user = (SELECT id FROM term WHERE kind = 'user' AND text = :user)"


class Terms:
    """The numbers of terms, made when a term is new."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[tuple[str, str], int] = {}

    def number(self, kind: str, text: str) -> int:
        """Give the number of a term."""
        known = self._numbers.get((kind, text))
        if known is not None:
            return known
        if len(self._numbers) >= MAX_TERMS:
            self.forget()
        self._connection.execute(_MAKE_TERM, (kind, text))
        (number,) = self._connection.execute(_FIND_TERM, (kind, text)).fetchone()
        self._numbers[kind, text] = number
        return int(number)

    def forget(self) -> None:
        """Forget the numbers at hand: a transaction that made some of them was undone."""
        self._numbers.clear()


def add_usage(connection: sqlite3.Connection, terms: Terms, batch: Sequence[Usage]) -> None:
    """Add a batch of sums inside a transaction of the caller's."""
    connection.executemany(_ADD, [_numbered(terms, row) for row in batch])


def _numbered(terms: Terms, row: Usage) -> tuple[int, ...]:
    return (
        row.slot,
        terms.number("user", storable(row.user)),
        terms.number("groups", groups_text(row.groups)),
        terms.number("categories", groups_text(row.categories)),
        terms.number("host", storable(row.host)),
        row.received,
        row.sent,
        row.exchanges,
    )


def read_usage(connection: sqlite3.Connection, question: UsageQuestion) -> UsageReport:
    """Answer a question about usage."""
    read = _by_time if question.by.is_time else _by_term
    return report(question, read(connection, question))


def _by_time(connection: sqlite3.Connection, question: UsageQuestion) -> Iterator[NamedSums]:
    query = f"SELECT slot, {_SUMS} FROM usage WHERE {_where(question)} GROUP BY slot ORDER BY slot"
    for slot, *sums in connection.execute(query, _bounds(question)):
        yield (slot_name(slot, question),), *sums


def _by_term(connection: sqlite3.Connection, question: UsageQuestion) -> Iterator[NamedSums]:
    column = _COLUMNS[question.by]
    numbered = f"SELECT {column} AS number, {_SUMS} FROM usage WHERE {_where(question)} GROUP BY {column}"
    query = f"SELECT text, received, sent, exchanges FROM ({numbered}) JOIN term ON term.id = number"
    for text, *sums in connection.execute(query, _bounds(question)):
        names = tuple(msgspec.json.decode(text, type=list[str])) if question.by.may_overlap else (text,)
        yield names, *sums


def _where(question: UsageQuestion) -> str:
    return _WHERE + (_OF_USER if question.user is not None else "")


def _bounds(question: UsageQuestion) -> dict[str, int | str | None]:
    return {"first": question.first_slot, "end": question.end_slot, "user": question.user}


def groups_text(names: tuple[str, ...]) -> str:
    """Write a set of groups or categories as the text of a term."""
    return msgspec.json.encode([storable(name) for name in names]).decode()


def storable(text: str) -> str:
    """Spell out half characters, which SQLite cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
