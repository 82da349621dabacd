"""The ``audit:`` table."""

from __future__ import annotations

from typing import Annotated

from corpproxy.audit.discretion import Level
from corpproxy.audit.pseudonyms import Every
from corpproxy.audit.settings import AuditSettings, WhenFull
from corpproxy.config.schema.conditions import DateRange
from corpproxy.config.schema.leaves import Age, Number, OneOrMany, SizeOrNone, Switch, Text, words
from corpproxy.config.schema.sinks import SinkTable
from corpproxy.config.schema.table import Table, as_in, left_out, listing, mapping, optional

EveryWord = Annotated[Every, words(Every)]
LevelWord = Annotated[Level, words(Level)]
WhenFullWord = Annotated[WhenFull, words(WhenFull)]


class RotateTable(Table):
    """When a new file of records begins."""

    size: SizeOrNone = as_in(AuditSettings, "rotate_octets", "Once the open file is as long; 0 for never.")
    daily: Switch = as_in(AuditSettings, "rotate_daily", "At midnight UTC.")


class KeepTable(Table):
    """How long what is kept; what is too old is erased each day."""

    short_for = "files"

    url: Age | None = optional("Paths, with queries where they are kept at all; for ever when left out.")
    host: Age | None = optional("Where people went: hosts, addresses of servers, reasons that name them.")
    user: Age | None = optional("Who it was: names, addresses of clients, User-Agents.")
    account: Age | None = optional("How many octets who moved where, the sums of usage.")
    record: Age | None = optional("Records themselves; files whose last record is older are deleted.")
    files: Number = as_in(
        AuditSettings, "keep_segments", "How many closed files stay, of each worker and file sink; 0: all."
    )


class PseudonymsTable(Table):
    """Random names for people and devices in the record, which two keepers can resolve together."""

    every: EveryWord | None = optional(
        "How long a pseudonym lasts: a day, a week, a month or a term; a month when left out."
    )
    keepers: dict[str, Text] = mapping(
        "Who can open the table, any two of them together: the files of their public keys, by their names."
    )
    begins: OneOrMany[DateRange] = listing("The first days of terms, for ``every: term``.")


class AuditTable(Table):
    """What the record keeps."""

    query: Switch = as_in(
        AuditSettings, "query", "Keep query strings, with the values of known secrets blanked."
    )
    user_agent: Switch = as_in(AuditSettings, "user_agent", "Keep what browsers say they are.")
    rotate: RotateTable = left_out(RotateTable)
    keep: KeepTable = left_out(KeepTable)
    levels: dict[str, LevelWord] = mapping(
        "How much is recorded of destinations in a category: ``full``, ``host`` (no paths), or ``category`` "
        "(category and octets alone, nothing that tells which site it was)."
    )
    pseudonyms: PseudonymsTable | None = optional(
        "Random names in the place of people's, and of the addresses of their devices."
    )
    compress: Switch = as_in(
        AuditSettings, "compress", "Pack closed files with Zstandard, which makes them a seventh as long."
    )
    disk: SizeOrNone = as_in(
        AuditSettings,
        "disk_octets",
        "How much room all files of records may take together; beyond it the oldest closed ones are deleted, "
        "which is signed, recorded and logged. 0: no bound.",
    )
    to: list[SinkTable] = listing("Where records go besides these files.")
    checkpoints_to: OneOrMany[Text] = listing(
        "Folders elsewhere, and names of ``to``, that get a copy of every checkpoint: what shows that the "
        "record was cut, even by somebody who has the key."
    )
    when_full: WhenFullWord = as_in(
        AuditSettings,
        "when_full",
        "What happens while records cannot be written: refuse, or go on and count.",
    )
