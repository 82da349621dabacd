"""The ``lists:`` table: every entry is what the list is of, and rules name lists of the right kind."""

from __future__ import annotations

from corpproxy.config.checks.conditions import each_part
from corpproxy.config.checks.examined import Examined
from corpproxy.config.nearest import did_you_mean
from corpproxy.config.nodes import node_at
from corpproxy.config.schema.conditions import WhoTable
from corpproxy.config.schema.named_lists import KINDS
from corpproxy.counted import counted
from corpproxy.errors import Problem

# Of a file of the wrong kind every line is wrong; these are enough to see it.
MAX_TOLD = 20


def check(examined: Examined) -> None:
    """Say which entries cannot be read, and which names of lists stand for nothing."""
    for name, table in examined.model.lists.items():
        _, _, code = KINDS[table.of]
        places = node_at(examined.shaped.root, ("lists", name, "entries"))
        entries = examined.attached.entries(name, table, places)
        wrong = [one for one in entries if one.wrong]
        examined.problems += [Problem(one.place, code, one.wrong) for one in wrong[:MAX_TOLD]]
        if len(wrong) > MAX_TOLD:
            more = counted(len(wrong) - MAX_TOLD, "more entry is", "more entries are")
            said = f"{more} no {table.of}; is this the right file?"
            examined.problems.append(Problem(wrong[MAX_TOLD].place, code, said))
        if not entries and not examined.shaped.is_damaged(("lists", name)) and _is_read(examined, table.file):
            said = f"list '{name}' has no entries, so that rules that ask for it never match"
            examined.say_of_key(("lists", name), "empty-list", said, "warning")
    _names(examined)


def _is_read(examined: Examined, file: str | None) -> bool:
    return file is None or file in examined.attached.octets


def _names(examined: Examined) -> None:
    known = examined.names_in(("lists",))
    for path, part in each_part(examined):
        side = "who" if isinstance(part, WhoTable) else "what"
        for number, name in enumerate(part.list_):
            table = examined.model.lists.get(name)
            if name not in known:
                said = f"there is no list '{name}'{did_you_mean(name, known)}"
                examined.say((*path, "list", number), "unknown-list", said)
            elif table is not None and KINDS[table.of][0] != side:
                said = f"list '{name}' is of {table.of}, which belongs under '{KINDS[table.of][0]}'"
                examined.say((*path, "list", number), "list-elsewhere", said)
