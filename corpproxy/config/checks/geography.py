"""The ``geography:`` table: rules that ask where an address is have a database to ask."""

from __future__ import annotations

from corpproxy.config.checks.conditions import each_part
from corpproxy.config.checks.examined import Examined
from corpproxy.config.schema.conditions import WhatTable


def check(examined: Examined) -> None:
    """Say where something is asked that no database tells, and which files are missing."""
    table = examined.model.geography
    for key in ("country", "asn"):
        file = getattr(table, key)
        if file is not None and not examined.files.exists(examined.file(file)):
            said = f"there is no file '{file}'; until it is there, '{key}' is not known of any address"
            examined.say(("geography", key), "geography-missing", said)
        if file is None and not examined.shaped.is_damaged(("geography",)):
            _unanswered(examined, key)


def _unanswered(examined: Examined, key: str) -> None:
    for path, part in each_part(examined):
        if isinstance(part, WhatTable) and getattr(part, key):
            said = f"nothing tells the {key} of an address; write 'geography: {{{key}: FILE.mmdb}}'"
            examined.say_of_key((*path, key), "no-geography", said)
