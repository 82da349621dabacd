"""Usage in the store: how sums are added, and how reports are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

import msgspec

from corpproxy.accounting.ledger import SLOT_SECONDS, Usage, in_columns, slot_of
from corpproxy.accounting.report import By, NamedSums, UsageQuestion, UsageReport, report, report_per
from corpproxy.backends.store.sql import Connection

# So many slots are sought one by one: those of a month.
MAX_SOUGHT = 31 * 96

# Numbers of terms kept at hand; a school of a thousand visits some ten thousand hosts a day.
MAX_TERMS = 50_000

_ADD = """
INSERT INTO usage (slot, user, groups, categories, host, device, rule, received, sent, exchanges, minutes)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (slot, user, groups, categories, host, device, rule) DO UPDATE SET
    received = usage.received + excluded.received,
    sent = usage.sent + excluded.sent,
    exchanges = usage.exchanges + excluded.exchanges,
    minutes = usage.minutes + excluded.minutes
"""

_MAKE_TERM = "INSERT INTO term (kind, text) VALUES (?, ?) ON CONFLICT DO NOTHING"
_PUT_TERM = "INSERT INTO term (id, kind, text) VALUES (?, ?, ?)"
_LAST_TERM = "SELECT COALESCE(MAX(id), 0) FROM term"
# Each is looked up by the index: SQLite reads the whole table for `text IN (...)`, and for a join that it may
# turn round.
_FIND_TERMS = (
    "WITH wanted (text) AS (VALUES {marks}) SELECT term.text, term.id "
    "FROM wanted CROSS JOIN term WHERE term.kind = ? AND term.text = wanted.text"
)
# How many are asked for at once.
_TERMS_AT_ONCE = 400

_COLUMNS = {
    By.USER: "user",
    By.GROUP: "groups",
    By.DEVICE: "device",
    By.CATEGORY: "categories",
    By.HOST: "host",
    By.RULE: "rule",
}
_SUMS = "SUM(received) AS received, SUM(sent) AS sent, SUM(exchanges) AS exchanges, SUM(minutes) AS minutes"
_WHERE = "slot >= :first AND slot < :end"
_ONE = "{column} IN (SELECT id FROM term WHERE kind = '{column}' AND text = :{column})"
# The slots of a span, one by one: where one person is asked for, each is found by the key of the table, and
# the rows of all others are not read.
_SLOTS = f"""
WITH RECURSIVE span (place) AS (
    SELECT CAST(:first AS BIGINT)
    UNION ALL SELECT place + {SLOT_SECONDS} FROM span WHERE place + {SLOT_SECONDS} < :end
)
"""
_BELOW = "host IN (SELECT id FROM term WHERE kind = 'host' AND (text = :host OR text LIKE :below ESCAPE '!'))"


class Terms:
    """
    The numbers of terms, made when a term is new.

    With ``counts`` nobody else makes terms meanwhile, so that new ones are given the numbers that follow: a
    file of SQLite's has one writer at a time.
    """

    def __init__(self, connection: Connection, *, counts: bool = False) -> None:
        self._connection = connection
        self._counts = counts
        # Those of lately, and those of before: who is asked for again stays, and the others go by half.
        self._numbers: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._before: defaultdict[str, dict[str, int]] = defaultdict(dict)

    def number(self, kind: str, text: str) -> int:
        """Give the number of a term."""
        known = self._numbers[kind].get(text)
        return self.learn({kind: (text,)})[kind][text] if known is None else known

    def learn(self, terms: Mapping[str, Iterable[str]]) -> Mapping[str, Mapping[str, int]]:
        """
        Have the numbers of many terms at hand, asked for together by their kinds; gives those and others.

        New ones are made in one order, whoever makes them: two that wait for each other would wait for ever.
        """
        if sum(map(len, self._numbers.values())) > MAX_TERMS // 2:
            self._before, self._numbers = self._numbers, defaultdict(dict)
        for kind in sorted(terms):
            numbers, before = self._numbers[kind], self._before[kind]
            unknown = [text for text in terms[kind] if text not in numbers]
            if before:
                numbers.update((text, before[text]) for text in unknown if text in before)
                unknown = [text for text in unknown if text not in numbers]
            if unknown:
                self._learn(kind, sorted(set(unknown)))
        return self._numbers

    def _learn(self, kind: str, unknown: Sequence[str]) -> None:
        numbers = self._numbers[kind]
        self._find(kind, unknown)
        new = [text for text in unknown if text not in numbers]
        if not new:
            return
        if not self._counts:
            self._connection.executemany(_MAKE_TERM, [(kind, text) for text in new])
            self._find(kind, new)
            return
        (last,) = self._connection.execute(_LAST_TERM).fetchone()
        ids = range(last + 1, last + 1 + len(new))
        self._connection.executemany(_PUT_TERM, zip(ids, repeat(kind), new))
        numbers.update(zip(new, ids, strict=True))

    def _find(self, kind: str, terms: Sequence[str]) -> None:
        for at in range(0, len(terms), _TERMS_AT_ONCE):
            some = terms[at : at + _TERMS_AT_ONCE]
            query = _FIND_TERMS.format(marks=", ".join(["(?)"] * len(some)))
            self._numbers[kind].update(self._connection.execute(query, (*some, kind)))

    def forget(self) -> None:
        """Forget the numbers at hand: a transaction that made some of them was undone."""
        self._numbers.clear()
        self._before.clear()


def add_usage(connection: Connection, terms: Terms, batch: Sequence[Usage]) -> None:
    """
    Add a batch of sums inside a transaction of the caller's.

    It is taken by columns: a busy second brings thousands of rows, of few people and rules, and what differs
    from one row to the next is the host.
    """
    if not batch:
        return
    columns = in_columns(batch)
    named = [
        _Column("user", columns.user, storable),
        _Column("groups", columns.groups, groups_text),
        _Column("categories", columns.categories, groups_text),
        _Column("host", columns.host, storable),
        _Column("device", columns.device, storable),
        _Column("rule", columns.rule, storable),
    ]
    known = terms.learn({column.kind: column.texts for column in named})
    numbers = [column.numbers(known[column.kind]) for column in named]
    minutes, places = columns.minute
    slots = [slot_of(minute) for minute in minutes]
    keys = [[slots[place] for place in places], *numbers]
    order = _in_order(keys)
    sums = (columns.received, columns.sent, columns.exchanges, columns.minutes)
    connection.executemany(_ADD, zip(*(map(one.__getitem__, order) for one in (*keys, *sums)), strict=True))


def _in_order(keys: Sequence[Sequence[int]]) -> list[int]:
    """
    The places of rows, in the one order of their keys: rows that several writers add to are never waited for
    crosswise.

    Each column is sorted by for itself, the last one first: no row is made for that.
    """
    order = list(range(len(keys[0])))
    for numbers in reversed(keys):
        order.sort(key=numbers.__getitem__)
    return order


class _Column:
    """What a batch has of one kind of term, each written once for all rows that have it."""

    __slots__ = ("_places", "kind", "texts")

    def __init__(
        self, kind: str, column: tuple[tuple[Any, ...], list[int]], write: Callable[[Any], str]
    ) -> None:
        self.kind = kind
        values, self._places = column
        self.texts = list(map(write, values))

    def numbers(self, known: Mapping[str, int]) -> list[int]:
        """The number of the term of each row, of those that are known by text."""
        numbers = list(map(known.__getitem__, self.texts))
        return list(map(numbers.__getitem__, self._places))


def read_usage(connection: Connection, question: UsageQuestion) -> UsageReport:
    """Answer a question about usage."""
    asking = _Asking(connection, question)
    if question.by.is_time:
        return report(question, asking.by_time())
    if question.per is None:
        return report(question, asking.by_term())
    return report_per(question, asking.by_term_and_time())


class _Asking:
    """A question, as SQL."""

    def __init__(self, connection: Connection, question: UsageQuestion) -> None:
        self._connection = connection
        self._question = question
        self._only = tuple(self._conditions())
        self._where = " AND ".join([_WHERE, *self._only])
        self._names = {name: getattr(question, name) for name in ("user", "device", "rule", "host")}
        if question.host is not None:
            self._names["below"] = "%." + _literal(question.host)

    def by_time(self) -> Iterator[NamedSums]:
        """Sums by the hours, days and so on of slots, in their order."""
        query = f"SELECT slot, {_SUMS} FROM usage WHERE {self._where} GROUP BY slot ORDER BY slot"
        if self._question.user is not None and self._question.slots <= MAX_SOUGHT:
            where = " AND ".join(["slot = place", *self._only])
            found = f"SELECT slot, {_SUMS} FROM span CROSS JOIN usage WHERE {where}"
            query = f"{_SLOTS} {found} GROUP BY slot ORDER BY slot"
        for slot, *sums in self._connection.execute(query, self._bounds()):
            yield (self._question.span(slot).name,), *sums

    def by_term(self, first: int | None = None, end: int | None = None) -> Iterator[NamedSums]:
        """Sums by what is asked for, of all time that is asked for or of a part of it."""
        column = _COLUMNS[self._question.by]
        numbered = f"SELECT {column} AS number, {_SUMS} FROM usage WHERE {self._where} GROUP BY {column}"
        query = (
            f"SELECT text, received, sent, exchanges, minutes FROM ({numbered}) AS sums "
            "JOIN term ON term.id = number"
        )
        for text, *sums in self._connection.execute(query, self._bounds(first, end)):
            overlap = self._question.by.may_overlap
            yield tuple(msgspec.json.decode(text, type=list[str])) if overlap else (text,), *sums

    def by_term_and_time(self) -> Iterator[tuple[str, Iterator[NamedSums]]]:
        """The same for each span of time in which anything is; a span is read alone, by its slots."""
        query = f"SELECT MIN(slot) FROM usage WHERE {self._where}"
        at = self._question.first_slot
        while True:
            (slot,) = self._connection.execute(query, self._bounds(at)).fetchone()
            if slot is None:
                return
            span = self._question.span(slot)
            # A span ends behind the slot in which it was found, whatever a clock does.
            at = max(int(span.ends), slot + SLOT_SECONDS)
            yield span.name, self.by_term(slot, min(at, self._question.end_slot))

    def _conditions(self) -> Iterator[str]:
        of = self._question
        for column, name in (("user", of.user), ("device", of.device), ("rule", of.rule)):
            if name is not None:
                yield _ONE.format(column=column)
        if of.host is not None:
            yield _BELOW
        for column, name in (("groups", of.group), ("categories", of.category)):
            if name is not None:
                yield f"{column} IN ({self._sets_with(column, name)})"

    def _sets_with(self, kind: str, name: str) -> str:
        """The numbers of the sets in which a name is; of the empty set for no name."""
        rows = self._connection.execute("SELECT id, text FROM term WHERE kind = :kind", {"kind": kind})
        sets = ((id, msgspec.json.decode(text, type=list[str])) for id, text in rows.fetchall())
        return ", ".join(str(id) for id, names in sets if name in (names or ("",))) or "NULL"

    def _bounds(self, first: int | None = None, end: int | None = None) -> dict[str, int | str | None]:
        question = self._question
        return {
            "first": question.first_slot if first is None else first,
            "end": question.end_slot if end is None else end,
            **self._names,
        }


def _literal(text: str) -> str:
    """Take from a text what means something in LIKE."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def groups_text(names: tuple[str, ...]) -> str:
    """Write a set of groups or categories as the text of a term."""
    return msgspec.json.encode([storable(name) for name in names]).decode()


def storable(text: str) -> str:
    """Spell out half characters, which no database can hold."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
