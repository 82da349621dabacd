"""Rules in words: what a rule asks, and why it matched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from corpproxy.policy.columns import EVERY_CATEGORY
from corpproxy.policy.conditions import Conditions, Part, What, Who, conditions_of
from corpproxy.policy.rules import Rule

# A rule may name hundreds of domains; a sentence names these many.
NAMED_AT_MOST = 4


def reason_of(rule: Rule, category: str, missing: frozenset[str]) -> str:
    """Why a rule matched, in words; ``category`` is the one that made it match, if one did."""
    parts = [words for key, words in asked_in_words(rule) if key != "category"]
    if rule.what.category:
        said = f"category {category}" if category else missing_in_words(rule.what.category, missing)
        parts.insert(0, said)
    return "; ".join(parts) or "it is for every exchange"


def missing_in_words(asked: Sequence[str], missing: frozenset[str]) -> str:
    """That a rule refuses because a list is missing."""
    gone = [one for one in asked if one in missing or EVERY_CATEGORY in missing]
    return f"the list of {either(gone)} is missing, so that this refuses everything"


def asked_in_words(asked: Conditions) -> Iterator[tuple[str, str]]:
    """
    Each key that is asked, with what it asks in words, in the order of the policy's grammar.

    What a part has inside it goes by ``who.any_`` and the like.
    """
    yield from _who_keys(asked.who)
    yield from _nested("who", asked.who)
    yield from _what_keys(asked.what)
    yield from _nested("what", asked.what)
    if asked.when:
        yield "when", f"during {either([when.name for when in asked.when])}"


def part_in_words(part: Part) -> str:
    """What a part asks, as one phrase."""
    if part.called:
        return part.called
    words = [said for _, said in asked_in_words(conditions_of(part))]
    return " and ".join(words) or "anything"


def _who_keys(who: Who) -> Iterator[tuple[str, str]]:
    for key, values in (("user", who.user), ("group", who.group), ("network", who.network)):
        if values:
            yield key, f"{key} {either(values)}"
    for key, values in (("listener", who.listener), ("device", who.device), ("agent", who.agent)):
        if values:
            yield key, f"{key} {either(values)}"
    if who.anonymous is not None:
        yield "anonymous", "nobody signed in" if who.anonymous else "somebody signed in"


def _what_keys(what: What) -> Iterator[tuple[str, str]]:
    if what.category:
        yield "category", f"category {either(what.category)}"
    if what.uncategorised is not None:
        yield "uncategorised", "in no category" if what.uncategorised else "in some category"
    for key, listed in (
        ("domain", what.domain),
        ("host", what.host),
        ("url", [str(url) for url in what.url]),
        ("expression", what.expression),
        ("extension", what.extension),
        ("method", what.method),
        ("scheme", what.scheme),
        ("port", [str(port) for port in what.port]),
        ("address", [str(one) for one in what.address]),
        ("country", what.country),
        ("asn", [f"AS{number}" for number in what.asn]),
        ("media_type", what.media_type),
        ("size", [str(one) for one in what.size]),
    ):
        if listed:
            yield key, f"{_CALLED.get(key, key)} {either(listed)}"


# What keys are called in sentences, where it is not what stands in the file.
_CALLED = {"asn": "network", "media_type": "media type"}


def _nested(side: str, part: Part) -> Iterator[tuple[str, str]]:
    """The parts inside a part, each kind of nesting as one phrase."""
    if part.all_:
        yield f"{side}.all_", both([part_in_words(one) for one in part.all_])
    if part.any_:
        yield f"{side}.any_", either([part_in_words(one) for one in part.any_])
    if part.not_ is not None:
        yield f"{side}.not_", f"not {_enclosed(part.not_)}"


def _enclosed(part: Part) -> str:
    """What a part asks, in brackets where it asks several things."""
    words = part_in_words(part)
    if part.called:
        return words
    return f"({words})" if len(list(asked_in_words(conditions_of(part)))) > 1 else words


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
