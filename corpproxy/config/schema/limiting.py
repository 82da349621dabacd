"""The ``limits:`` table: how fast who may move what, when."""

from __future__ import annotations

from typing import Annotated

from corpproxy.config.schema.conditions import CalendarTable, WhatTable, WhoTable
from corpproxy.config.schema.leaves import Leaf, Text, told, words
from corpproxy.config.schema.table import Table, as_in, asked, optional
from corpproxy.policy.amounts import RATE_PATTERN, parse_rate, rate_text
from corpproxy.policy.limits import Limit, Per

PerWord = Annotated[Per, words(Per)]


def _rate(written: str) -> int:
    try:
        return parse_rate(written)
    except ValueError as error:
        raise told("bad-rate", str(error)) from None


Rate = Annotated[int, Leaf("rate", _rate, {"type": "string", "pattern": RATE_PATTERN}, rate_text)]


class LimitTable(Table):
    """
    One limit: whose octets are counted together, of what, when, and how many they may be.

    Every limit that matches applies, not only the first.
    """

    name: Text = asked("The name that stands in records, on the portal and in explanations.")
    who: WhoTable | None = optional("Whom it is for; everybody when left out.")
    what: WhatTable | None = optional("What it is for; everything when left out.")
    when: CalendarTable | None = optional("When, as in a rule; always when left out.")
    per: PerWord = as_in(Limit, "per", "Whose octets are counted together.")
    rate: Rate | None = optional("How fast each way, as ``256KiB/s``, ``10MiB/s`` or ``100Mbit/s``.")
    download: Rate | None = optional("How fast toward clients, in the place of ``rate``.")
    upload: Rate | None = optional("How fast from clients, in the place of ``rate``.")
    say: Text | None = optional("A sentence for the person who is slowed, for the portal.")
