"""The ``limits:`` table: how fast who may move what, when."""

from __future__ import annotations

from typing import Annotated, ClassVar

from corpproxy.config.schema.conditions import CalendarTable, WhatTable, WhoTable
from corpproxy.config.schema.leaves import Leaf, Positive, Size, Text, told, words
from corpproxy.config.schema.table import Table, as_in, asked, optional
from corpproxy.policy.amounts import RATE_PATTERN, parse_rate, rate_text
from corpproxy.policy.limits import Limit, Per
from corpproxy.policy.quota import StoreAway, Then

PerWord = Annotated[Per, words(Per)]


def _rate(written: str) -> int:
    try:
        return parse_rate(written)
    except ValueError as error:
        raise told("bad-rate", str(error)) from None


Rate = Annotated[int, Leaf("rate", _rate, {"type": "string", "pattern": RATE_PATTERN}, rate_text)]


ThenWord = Annotated[Then, words(Then)]
StoreAwayWord = Annotated[StoreAway, words(StoreAway)]


class ThenTable(Table):
    """
    What happens when a quota is used up.

    ``then: block`` is a table with ``do: block``; where a rate stands, ``do: slow`` is meant.
    """

    short_for: ClassVar[str] = "do"

    do: ThenWord | None = optional("What happens.")
    rate: Rate | None = optional("How fast it goes on each way.")
    download: Rate | None = optional("How fast toward clients, in the place of ``rate``.")
    upload: Rate | None = optional("How fast from clients, in the place of ``rate``.")


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
    volume: Size | None = optional("A quota: how much there is, both ways together.")
    minutes: Positive | None = optional("A quota: for how many minutes in which something moves.")
    every: Text | None = optional(
        "After how long a quota is made good again: ``hour``, ``day``, ``week``, ``month``, or the name of a "
        "calendar, for each time that it holds. Days begin at ``day_begins:``."
    )
    then: ThenTable | None = optional("What happens when a quota is used up; ``block`` when left out.")
    store_away: StoreAwayWord | None = optional(
        "What happens to a volume that nodes share while their store is away and a node has used up what is "
        "on loan to it: ``spent``, as if all were used, or ``continue``, by what the node knows; ``spent`` "
        "when left out."
    )
    say: Text | None = optional("A sentence for the person who is slowed, or has used all.")
