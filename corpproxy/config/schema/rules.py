"""The ``rules:``, ``exceptions:`` and ``safe_search:`` tables."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corpproxy.config.schema.conditions import CalendarTable, SafetyTable, WhatTable, WhoTable
from corpproxy.config.schema.leaves import Duration, OneOrMany, Switch, Text, WithinADay, parsed, words
from corpproxy.config.schema.table import Table, as_in, asked, optional
from corpproxy.policy.approvals import Approval
from corpproxy.policy.exceptions import ExceptionEntry
from corpproxy.policy.model import Effect
from corpproxy.policy.rules import WARN_SECONDS, Rule
from corpproxy.policy.safe_search import ENGINES, SafeSearchEntry, YouTube
from corpproxy.policy.staged import Mode, Stage, parse_share, share_text

EffectWord = Annotated[Effect, words(Effect)]
ModeWord = Annotated[Mode, words(Mode)]
Share = Annotated[int, parsed("percent", parse_share, "bad-share", share_text)]


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
    mode: ModeWord = as_in(
        Stage, "mode", "With ``shadow`` the record only says what the rule would have refused."
    )
    canary: Share | None = optional(
        "The share of people for whom the rule counts, as ``10%``; for the others it is in shadow."
    )
    from_: Text | None = optional(
        "When the rule begins: a date, or date and time as ``2026-11-23T10:00``, in the site's time zone.",
        alias="from",
    )
    until: Text | None = optional("When it ends: a time, or a date for the end of that day.")
    owner: Text | None = optional("Who answers for the rule.")
    reason: Text | None = optional("Why it is there, for whoever reads the policy or an explanation.")
    exceptions: Switch = as_in(Rule, "exceptions", "Whether entries of ``exceptions:`` may go past it.")
    override: Switch = as_in(Rule, "override", "Whether an approved request may go past it where it blocks.")


class ExceptionTable(Table):
    """
    Who may have what in spite of some rules, until when.

    It takes those rules away where it matches, and the other rules decide.
    What ``safety:`` refuses stays refused.
    """

    name: Text = asked("The name that stands in records and in explanations.")
    who: WhoTable | None = optional("For whom; everybody when left out.")
    what: WhatTable | None = optional("For what; everything when left out, which only ``who`` makes narrow.")
    when: CalendarTable | None = optional("When, as in a rule; always when left out.")
    past: OneOrMany[Text] = asked("Names of rules that it goes past; ``all`` for every rule that refuses.")
    owner: Text = asked("Who answers for it.")
    reason: Text = asked("Why it is there.")
    from_: Text | None = optional("When it begins, as in a rule; at once when left out.", alias="from")
    until: Text | None = optional(
        "When it ends by itself: a time, or a date for the end of that day; must be there."
    )
    permanent: Switch = as_in(ExceptionEntry, "permanent", "That it has no end, in place of ``until``.")


class ApproveTable(Table):
    """
    Who may let whom past rules that block, on the portal: at one host, for a while.

    Who fits ``for`` may ask for a page that was refused; who fits ``who`` decides.
    Rules with ``override: no`` and the ``safety:`` table are passed by nobody.
    """

    who: WhoTable = asked("Who may let others through; they must sign in.")
    for_: WhoTable | None = Field(
        default=None, alias="for", description="Who may be let through; everybody when left out."
    )
    at_most: WithinADay = as_in(Approval, "at_most", "For how long at a time, at most.")


Engine = Annotated[str, words(ENGINES, "engine")]
YouTubeWord = Annotated[YouTube, words(YouTube)]


class SafeSearchTable(Table):
    """Who is given the strict addresses that search engines publish."""

    who: WhoTable | None = optional("Who is asking; everybody when left out.")
    engines: OneOrMany[Engine] | None = optional("Search engines; all that are known when left out.")
    youtube: YouTubeWord = as_in(SafeSearchEntry, "youtube", "How YouTube is restricted.")
