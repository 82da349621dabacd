"""Rules in words: what a rule asks, and why it matched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from corpproxy.policy.columns import EVERY_CATEGORY
from corpproxy.policy.conditions import Conditions
from corpproxy.policy.rules import Rule

# A rule may name hundreds of domains; a sentence names these many.
NAMED_AT_MOST = 4


def reason_of(rule: Rule, category: str, missing: frozenset[str]) -> str:
    """Why a rule matched, in words; ``category`` is the one that made it match, if one did."""
    parts = [words for key, words in asked_in_words(rule) if key != "category"]
    if category:
        parts.insert(0, f"category {category}")
    elif rule.what.category:
        parts.insert(0, missing_in_words(rule.what.category, missing))
    return "; ".join(parts) or "it is for every exchange"


def missing_in_words(asked: Sequence[str], missing: frozenset[str]) -> str:
    """That a rule refuses because a list is missing."""
    gone = [one for one in asked if one in missing or EVERY_CATEGORY in missing]
    return f"the list of {either(gone)} is missing, so that this refuses everything"


def asked_in_words(asked: Conditions) -> Iterator[tuple[str, str]]:
    """Each key that is asked, with what it asks in words, in the order of the policy's grammar."""
    who, what = asked.who, asked.what
    for key, values in (("user", who.user), ("group", who.group), ("network", who.network)):
        if values:
            yield key, f"{key} {either(values)}"
    if who.listener:
        yield "listener", f"listener {either(who.listener)}"
    if who.anonymous is not None:
        yield "anonymous", "nobody signed in" if who.anonymous else "somebody signed in"
    if what.category:
        yield "category", f"category {either(what.category)}"
    if what.uncategorised is not None:
        yield "uncategorised", "in no category" if what.uncategorised else "in some category"
    for key, listed in (
        ("domain", what.domain),
        ("url", [str(url) for url in what.url]),
        ("expression", what.expression),
        ("method", what.method),
        ("scheme", what.scheme),
        ("port", [str(port) for port in what.port]),
        ("address", what.address),
    ):
        if listed:
            yield key, f"{key} {either(listed)}"
    if asked.when:
        yield "when", f"during {either([when.name for when in asked.when])}"


def clock(at: float, time_zone: tzinfo) -> str:
    """A time as people write it, ``Mon 2026-11-23 10:00``; one too far away for a calendar in words."""
    try:
        return f"{datetime.fromtimestamp(at, time_zone):%a %Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return "the end of time"


def either(values: Sequence[str], word: str = "or") -> str:
    """Join values as alternatives: ``games, chat or news``; of many only the first."""
    named = [str(value) for value in values[:NAMED_AT_MOST]]
    if len(values) > NAMED_AT_MOST:
        return f"{', '.join(named)} {word} {len(values) - NAMED_AT_MOST} more"
    return f"{', '.join(named[:-1])} {word} {named[-1]}" if len(named) > 1 else "".join(named)


def both(values: Sequence[str]) -> str:
    """Join values that all hold: ``games, chat and news``."""
    return either(values, "and")
