"""The ``lists:`` table: names, networks and the like that rules refer to by one name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from corpproxy.config.schema.conditions import parse_address_kind
from corpproxy.config.schema.leaves import OneOrMany, Text, parse_network, words
from corpproxy.config.schema.table import Table, asked, listing, optional
from corpproxy.policy.conditions import (
    parse_domain,
    parse_expression,
    parse_extension,
    parse_host,
    parse_url,
)


def _name(written: str) -> str:
    return written.strip()


def _network(written: str) -> str:
    return str(parse_network(written))


# What a list may be of, with the side of the grammar that the key belongs to, how an entry is read, and the
# code of the problem when it cannot be.
KINDS: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "user": ("who", _name, "bad-name"),
    "group": ("who", _name, "bad-name"),
    "network": ("who", _network, "bad-network"),
    "agent": ("who", parse_expression, "bad-expression"),
    "domain": ("what", parse_domain, "bad-host"),
    "host": ("what", parse_host, "bad-host"),
    "url": ("what", parse_url, "bad-url"),
    "expression": ("what", parse_expression, "bad-expression"),
    "extension": ("what", parse_extension, "bad-extension"),
    "address": ("what", parse_address_kind, "bad-network"),
}
Kind = Annotated[str, words(tuple(KINDS))]


class NamedListTable(Table):
    """
    Entries that rules refer to by one name, as ``what: {list: banks}``.

    They stand here, in a file with one entry a line, or both; a ``#`` in a file begins a comment.
    """

    of: Kind = asked("What the entries are: the key of the grammar that they would stand under.")
    entries: OneOrMany[Text] = listing("The entries.")
    file: Text | None = optional("A file with more entries, one a line.")
