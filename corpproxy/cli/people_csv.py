"""
A table of people as schools and offices export it: ``name,password,groups``, checked whole before it is used.

The first row names the columns; only ``name`` must be there and the order is free.  Groups stand in one
cell, separated by commas or semicolons.  Both separators of cells that spreadsheets write are read.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field

from corpproxy.counted import counted
from corpproxy.errors import Place, Problem
from corpproxy.identity.basic import normal_password
from corpproxy.identity.names import fault_of_name, normal_name
from corpproxy.identity.strength import problem_of_password

COLUMNS = ("name", "password", "groups")


@dataclass(frozen=True, slots=True)
class Row:
    """One person; ``password`` is empty where one is to be made, ``groups`` None without such a column."""

    name: str
    password: str = field(repr=False)
    groups: tuple[str, ...] | None
    place: Place


@dataclass(frozen=True, slots=True)
class Table:
    """The good rows, and what is wrong with the others."""

    rows: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_table(octets: bytes, file: str) -> Table:
    """Read a table of people; what is odd is a problem at its line, never an exception."""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        said = "the table is not UTF-8; export it as 'CSV UTF-8'"
        return Table((), (Problem(Place(file, line), "table-not-utf-8", said),))
    return _Reading(text, file).table()


class _Reading:
    """One pass over a table."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._problems: list[Problem] = []
        self._rows: dict[str, Row] = {}
        head = text.partition("\n")[0]
        self._cells = csv.reader(
            io.StringIO(text, newline=""), delimiter=";" if ";" in head else ",", strict=True
        )

    def table(self) -> Table:
        try:
            columns = self._columns(next(self._cells, []))
            if columns is not None:
                for cells in self._cells:
                    self._take(cells, columns)
        except csv.Error as error:
            self._say("table-broken", f"the table breaks off here ({error}); look at the quotes")
        return Table(tuple(self._rows.values()), tuple(self._problems))

    def _say(self, code: str, message: str) -> None:
        self._problems.append(Problem(Place(self._file, self._cells.line_num or 1), code, message))

    def _columns(self, head: list[str]) -> dict[str, int] | None:
        """Give the columns by name, or None after telling what is wrong with the first row."""
        written = [cell.strip().lower() for cell in head]
        for number, column in enumerate(written):
            if column not in COLUMNS or column in written[:number]:
                said = f"'{head[number]}' is none of the columns name, password and groups, or is there twice"
                self._say("table-column", said)
        if "name" not in written:
            self._say("table-no-names", "the first row has to name the columns; write name,password,groups")
        return None if self._problems else {column: number for number, column in enumerate(written)}

    def _take(self, cells: list[str], columns: dict[str, int]) -> None:
        if not any(cell.strip() for cell in cells):
            return
        if len(cells) != len(columns):
            found = counted(len(cells), "cell")
            said = f"the row has {found}, the first row {len(columns)}; quote cells with commas"
            self._say("table-row", said)
            return
        row = self._row({column: cells[number] for column, number in columns.items()})
        if row is None:
            return
        if row.name in self._rows:
            before = self._rows[row.name].place.line
            self._say("table-duplicate", f"'{row.name}' stands in line {before} already; keep one of them")
            return
        self._rows[row.name] = row

    def _row(self, cells: dict[str, str]) -> Row | None:
        place = Place(self._file, self._cells.line_num)
        before = len(self._problems)
        name = normal_name(cells["name"].strip())
        if fault := fault_of_name(name):
            self._say("table-name", f"'{name}': {fault}" if name else fault)
        password = normal_password(cells.get("password", ""))
        if password and (weak := problem_of_password(name, password, place)):
            self._problems.append(weak)
        groups = _groups(cells["groups"]) if "groups" in cells else None
        for group in groups or ():
            if fault := fault_of_name(group):
                self._say("table-group", f"group '{group}': {fault}")
        return Row(name, password, groups, place) if len(self._problems) == before else None


def _groups(cell: str) -> tuple[str, ...]:
    names = (normal_name(name.strip()) for name in cell.replace(";", ",").split(","))
    return tuple(dict.fromkeys(name for name in names if name))
