"""The ``categories:`` table: the lists, and the site's own additions and exceptions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corpproxy.config.schema.leaves import Duration, OneOrMany, Text, parsed, words
from corpproxy.config.schema.table import Table, as_in, asked, listing, mapping, optional
from corpproxy.destination.entries import own_entry
from corpproxy.destination.formats import AUTO, FORMATS
from corpproxy.destination.sources import BLOCK, IGNORE, ListSource

ListFormat = Annotated[str, words(FORMATS)]


def _own(written: str) -> str:
    try:
        own_entry(written)
    except ValueError as error:
        raise ValueError(f"'{written}' cannot be in a category: {error}") from None
    return written


OwnEntry = Annotated[str, parsed("entry", _own, "bad-entry")]
WhenMissing = Annotated[str, words((BLOCK, IGNORE))]


class ListTable(Table):
    """One list of names, urls, expressions or addresses."""

    name: Text = asked("The name under which explanations and records show this list.")
    path: Text = asked("The file or folder.")
    format: ListFormat = Field(default=AUTO, description="How it is written; ``auto`` recognises it.")
    category: Text | None = optional(
        "The category of everything in it; else the folder's (``ut1``) or the name of the list."
    )
    when_missing: WhenMissing = as_in(
        ListSource,
        "when_missing",
        "While it cannot be read, what blocks by it blocks everything, or nothing.",
    )
    licence: Text | None = optional("Under which licence the list may be used, for the record.")
    refresh: Duration | None = optional("How old the list may become before it is shown as stale.")


class CategoriesTable(Table):
    """What is known of destinations."""

    lists: list[ListTable] = listing("The lists.")
    own: dict[str, OneOrMany[OwnEntry]] = mapping(
        "Own categories: names (each with all below it), or a name with the beginning of a path."
    )
    exceptions: dict[str, OneOrMany[OwnEntry]] = mapping(
        "Names that are not in a category whatever the lists say, by category."
    )
