"""The limits of a person on their own page: what they hold to, what is used, and what is slowed and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from corpproxy.identity.model import Identity
from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.sheet import Card, Fact, Section, Tone
from corpproxy.pages.shown import shown
from corpproxy.pages.site import Site
from corpproxy.policy.amounts import rate_text
from corpproxy.policy.limits import Applied
from corpproxy.policy.quota import Standing, Standings, Then


@dataclass(frozen=True, slots=True)
class Holding:
    """One limit of a person, and how they stand where it is a quota of which something is used."""

    applied: Applied
    standing: Standing | None = None


def holding(applied: Applied, standings: Standings, at: float) -> Holding:
    """Give one limit of a person; who has used nothing yet of a quota has all of it until its end."""
    quota = applied.limit.quota
    standing = standings.of(applied.limit.name, applied.whom, at)
    if standing is None and quota is not None and quota.holds(at):
        standing = Standing(0.0, quota.allowed, quota.ends(at))
    return Holding(applied, standing)


# Gives the limits of somebody: identity, client, listener, and the time in POSIX seconds.
Holdings = Callable[[Identity, str, str, float], tuple[Holding, ...]]


def no_holdings(identity: Identity, client: str, listener: str, at: float) -> tuple[Holding, ...]:
    """Nobody is held to anything."""
    return ()


def holdings_section(words: Catalogue, site: Site, holdings: tuple[Holding, ...]) -> Section:
    """The part of the start page."""
    return Section(
        title=words.say("limits.title"),
        text=(words.say("limits.lead"),),
        cards=tuple(_card(words, site, holding) for holding in holdings),
    )


def _card(words: Catalogue, site: Site, holding: Holding) -> Card:
    limit, standing = holding.applied.limit, holding.standing
    is_spent = standing is not None and standing.is_spent
    return Card(
        title=shown(limit.name),
        lead=_lead(words, holding),
        quote=limit.say if is_spent else "",
        facts=tuple(_facts(words, site, holding)),
        tone=_tone(holding),
        percent=_percent(holding),
    )


def _tone(holding: Holding) -> Tone:
    """What goes no further is seen first, what is slow or nearly used up next."""
    standing = holding.standing
    if holding.applied.blocks:
        return Tone.STOP
    return Tone.WARN if standing is not None and standing.is_noticed else Tone.PLAIN


def _percent(holding: Holding) -> int | None:
    """How much of a quota is used; more than all of it fills the bar."""
    if holding.applied.limit.quota is None:
        return None
    return 0 if holding.standing is None else min(100, holding.standing.percent)


def _lead(words: Catalogue, holding: Holding) -> str:
    """What it means just now."""
    quota, standing = holding.applied.limit.quota, holding.standing
    if quota is not None and standing is not None and standing.is_spent:
        ends = {Then.BLOCK: "limits.blocked", Then.SLOW: "limits.slowed", Then.RECORD: "limits.spent"}
        return words.say(ends[quota.then])
    if standing is not None and standing.is_noticed:
        return words.say("limits.nearly")
    return words.say("limits.holds")


def _facts(words: Catalogue, site: Site, holding: Holding) -> list[Fact]:
    applied, standing = holding.applied, holding.standing
    quota, facts = applied.limit.quota, []
    for way, name in ((0, "download"), (1, "upload")):
        rate = applied.rate(way)
        if rate:
            facts.append(Fact(name, words.say(f"limits.{name}"), rate_text(rate)))
    if quota is not None and (standing is None or standing.is_known):
        allowed = standing.allowed if standing is not None else quota.allowed
        used = standing.used if standing is not None else 0.0
        told = words.say("limits.of", used=quota.amount(used), allowed=quota.amount(allowed))
        facts.append(Fact("used", words.say("limits.used"), told))
        facts.append(Fact("left", words.say("limits.left"), quota.amount(max(allowed - used, 0))))
        if standing is not None:
            until = words.time(standing.until, site.time_zone)
            facts.append(Fact("until", words.say("limits.until"), until))
    return facts
