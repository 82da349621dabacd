"""The ``identity: exempt:`` table: it asks what is known before anybody has signed in."""

from __future__ import annotations

from corpproxy.config.checks.conditions import each_part
from corpproxy.config.checks.examined import Examined
from corpproxy.config.nodes import Path
from corpproxy.config.schema.conditions import WhatTable, WhoTable
from corpproxy.config.schema.identity import ExemptTable
from corpproxy.policy.exempt import UNKNOWN_KEYS

_TABLE = ("identity", "exempt")


def check(examined: Examined) -> None:
    """Say which exemptions ask what cannot be known, and which ask nothing."""
    for path, part in each_part(examined):
        if path[:2] == _TABLE:
            _keys(examined, path, part)
            _lists(examined, path, part)
    for number, exemption in enumerate(examined.model.identity.exempt):
        path = (*_TABLE, number)
        if _asks_nothing(exemption) and not examined.shaped.is_damaged(path):
            said = "this exempts everybody from signing in, everywhere; say for whom, for what or when it is"
            examined.say(path, "empty-condition", said)


def _keys(examined: Examined, path: Path, part: WhoTable | WhatTable) -> None:
    for key, why in UNKNOWN_KEYS.items():
        if getattr(part, key, None) not in (None, []):
            examined.say_of_key((*path, key), "asked-too-soon", f"'{key}' cannot be asked here: {why}")


def _lists(examined: Examined, path: Path, part: WhoTable | WhatTable) -> None:
    """Lists of people."""
    for number, name in enumerate(part.list_):
        table = examined.model.lists.get(name)
        if table is not None and table.of in UNKNOWN_KEYS:
            said = f"list '{name}' is of {table.of}, which cannot be asked here: {UNKNOWN_KEYS[table.of]}"
            examined.say((*path, "list", number), "asked-too-soon", said)


def _asks_nothing(exemption: ExemptTable) -> bool:
    return exemption.when is None and not any(
        part is not None and part.model_fields_set for part in (exemption.who, exemption.what)
    )
