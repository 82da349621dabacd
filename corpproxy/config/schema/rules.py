"""The ``rules:`` and ``safe_search:`` tables."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corpproxy.config.schema.conditions import CalendarTable, SafetyTable, WhatTable, WhoTable
from corpproxy.config.schema.leaves import Duration, OneOrMany, Text, words
from corpproxy.config.schema.table import Table, as_in, asked, optional
from corpproxy.policy.model import Effect
from corpproxy.policy.rules import WARN_SECONDS
from corpproxy.policy.safe_search import ENGINES, SafeSearchEntry, YouTube

EffectWord = Annotated[Effect, words(Effect)]


class RuleTable(Table):
    """
    One rule: who asks for what, when, and what then happens.

    Rules are tried in order and the first match decides.  The last one has no conditions.
    """

    name: Text = asked("The name that stands on block pages, in records and in explanations.")
    who: WhoTable | None = optional("Who is asking; everybody when left out.")
    what: WhatTable | None = optional("What is asked for; everything when left out.")
    when: CalendarTable | None = optional(
        "When: the name of a calendar, several of them, or a time written here; always when left out."
    )
    do: EffectWord = asked("What happens.")
    say: Text | None = optional("A sentence for the person who meets the block or warn page.")
    to: Text | None = optional("Where ``redirect`` sends the browser.")
    life: Duration = Field(default=WARN_SECONDS, alias="for", description="How long a confirmation holds.")
    safety: SafetyTable | None = optional(
        "What stays refused where this rule matches, in place of ``safety:``."
    )


Engine = Annotated[str, words(ENGINES, "engine")]
YouTubeWord = Annotated[YouTube, words(YouTube)]


class SafeSearchTable(Table):
    """Who is given the strict addresses that search engines publish."""

    who: WhoTable | None = optional("Who is asking; everybody when left out.")
    engines: OneOrMany[Engine] | None = optional("Search engines; all that are known when left out.")
    youtube: YouTubeWord = as_in(SafeSearchEntry, "youtube", "How YouTube is restricted.")
