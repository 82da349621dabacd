"""The ``categories:`` table: the lists, and the site's own additions and exceptions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corpproxy.config.schema.fetching import (
    BrakeTable,
    Checksum,
    FetchingTable,
    ListUrl,
    ProtectTable,
    PublicKey,
)
from corpproxy.config.schema.leaves import Duration, OneOrMany, Positive, Size, Text, parsed, words
from corpproxy.config.schema.table import Table, as_in, asked, left_out, listing, mapping, optional
from corpproxy.destination.entries import own_entry
from corpproxy.destination.fetching import Fetch
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
    path: Text | None = optional("The file or folder, where somebody else brings the list.")
    url: OneOrMany[ListUrl] = listing(
        "Where the service fetches the list itself; of several addresses each is tried when those before it "
        "fail."
    )
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
    refresh: Duration | None = optional(
        "How often a list with ``url`` is fetched (``24h`` when left out); how old one with ``path`` may "
        "become before it is shown as stale."
    )
    stale: Duration | None = optional(
        "How long a list with ``url`` may be without a good answer before it is stale; three times "
        "``refresh`` when left out."
    )
    checksum: Checksum | None = optional(
        "The URL of a file with its checksum (MD5, SHA-1 or SHA-2), or ``sha256:`` and the digest itself."
    )
    signature: ListUrl | None = optional("The URL of its signature by minisign or signify.")
    public_key: PublicKey | None = optional("The public key that the signature is checked with.")
    size: Size = as_in(Fetch, "size", "The most that is fetched.")
    keep: Positive = as_in(Fetch, "keep", "How many versions are kept to go back to.")
    brake: BrakeTable = Field(
        default=left_out(BrakeTable), description="What holds an update back until somebody accepts it."
    )


class CategoriesTable(Table):
    """What is known of destinations."""

    lists: list[ListTable] = listing("The lists.")
    own: dict[str, OneOrMany[OwnEntry]] = mapping(
        "Own categories: names (each with all below it), or a name with the beginning of a path."
    )
    fetch: FetchingTable = Field(default=left_out(FetchingTable), description="How lists are fetched.")
    protect: ProtectTable = Field(
        default=left_out(ProtectTable), description="What updates of lists may not begin to refuse."
    )
    exceptions: dict[str, OneOrMany[OwnEntry]] = mapping(
        "Names that are not in a category whatever the lists say, by category."
    )
