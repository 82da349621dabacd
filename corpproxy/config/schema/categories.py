"""The ``categories:`` table: the lists, and the site's own additions and exceptions."""

from __future__ import annotations

from typing import Annotated, Literal

from corpproxy.config.schema.leaves import Duration, OneOrMany, Text, words
from corpproxy.config.schema.table import Table, asked, listing, mapping, optional

FORMATS = (
    "ut1", "hosts", "names", "wildcards", "adblock", "dnsmasq", "unbound", "addresses",
)  # fmt: skip

ListFormat = Annotated[str, words(FORMATS)]
WhenMissing = Annotated[Literal["block", "ignore"], words(("block", "ignore"))]


class ListTable(Table):
    """One list of names, urls, expressions or addresses."""

    name: Text = asked("The name under which explanations and records show this list.")
    path: Text = asked("The file or folder.")
    format: ListFormat | None = optional("How it is written; recognised from the file when left out.")
    category: Text | None = optional("The category of everything in it, for formats that name none.")
    when_missing: WhenMissing = "block"
    licence: Text | None = optional("Under which licence the list may be used, for the record.")
    refresh: Duration | None = optional("How old the list may become before it is shown as stale.")


class CategoriesTable(Table):
    """What is known of destinations."""

    lists: list[ListTable] = listing("The lists.")
    own: dict[str, OneOrMany[Text]] = mapping(
        "Own categories: names (each with all below it), or a name with the beginning of a path."
    )
    exceptions: dict[str, OneOrMany[Text]] = mapping(
        "Names that are not in a category whatever the lists say, by category."
    )
