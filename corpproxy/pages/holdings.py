"""The limits of a person on their own page: what they hold to, what is used, and what is slowed and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from corpproxy.identity.model import Identity
from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.more import more_form
from corpproxy.pages.sheet import Card, Fact, Section, Tone
from corpproxy.pages.shown import shown
from corpproxy.pages.site import Site
from corpproxy.policy.amounts import rate_text
from corpproxy.policy.limits import Applied, Limit, Per
from corpproxy.policy.quota import Standing, Standings, Then


@dataclass(frozen=True, slots=True)
class Holding:
    """
    One limit of a person, and how they stand where it is a quota of which something is used.

    ``since`` is when the quota began to count, ``until`` when the limit itself holds no more: POSIX seconds,
    0 where that is not known, or never.
    """

    applied: Applied
    standing: Standing | None = None
    since: float = 0.0
    until: float = 0.0

    @property
    def granted(self) -> float:
        """How much was given on top of what the policy says."""
        quota, standing = self.applied.limit.quota, self.standing
        if quota is None or standing is None or not standing.is_known:
            return 0.0
        return max(0.0, standing.allowed - quota.allowed)


def holding(applied: Applied, standings: Standings, at: float, until: float = 0.0) -> Holding:
    """Give one limit of a person; who has used nothing yet of a quota has all of it until its end."""
    quota = applied.limit.quota
    standing = standings.of(applied.limit.name, applied.whom, at)
    if standing is None and quota is not None and quota.holds(at):
        standing = Standing(0.0, quota.allowed, quota.ends(at))
    return Holding(applied, standing, quota.began(at) if quota is not None else 0.0, until)


# Gives the limits of somebody: identity, client, listener, and the time in POSIX seconds.
Holdings = Callable[[Identity, str, str, float], tuple[Holding, ...]]


class Offer(Enum):
    """Whether more of a quota can be asked for; if not, which sentence says why, where it needs one."""

    NONE = ""
    ASK = "ask"
    WAITS = "more.waits"
    NOT_HERE = "more.not_here"


def no_holdings(identity: Identity, client: str, listener: str, at: float) -> tuple[Holding, ...]:
    """Nobody is held to anything."""
    return ()


def holdings_section(words: Catalogue, site: Site, holdings: Sequence[tuple[Holding, Offer, str]]) -> Section:
    """The part of the start page; each limit comes with what is offered, and the token that asks for more."""
    return Section(
        title=words.say("limits.title"),
        text=(words.say("limits.lead"),),
        cards=tuple(_card(words, site, holding, offer, token) for holding, offer, token in holdings),
    )


def _card(words: Catalogue, site: Site, holding: Holding, offer: Offer, token: str) -> Card:
    limit, standing = holding.applied.limit, holding.standing
    asks = offer is Offer.ASK
    why_not = (words.say(offer.value),) if offer.value and not asks else ()
    is_spent = standing is not None and standing.is_spent
    return Card(
        title=shown(limit.name),
        lead=_lead(words, holding),
        text=(*_why(words, site, holding), *why_not),
        quote=limit.say if is_spent else "",
        facts=tuple(_facts(words, site, holding)),
        form=more_form(words, site, token, shared_with(words, limit, holding.applied.whom)) if asks else None,
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


def _why(words: Catalogue, site: Site, holding: Holding) -> tuple[str, ...]:
    """What is slowed or ended, how fast it goes, and until when."""
    applied, standing = holding.applied, holding.standing
    quota, rate = applied.limit.quota, _rates(words, applied)
    if quota is not None and standing is not None and standing.is_spent:
        until = words.time(standing.until, site.time_zone)
        if not standing.is_known:
            return (words.say("limits.unknown", until=until),)
        allowed = quota.amount(standing.allowed)
        if quota.then is Then.SLOW:
            return (words.say("limits.why_slowed", allowed=allowed, rate=rate, until=until),)
        if quota.then is Then.BLOCK:
            return (words.say("limits.why_blocked", allowed=allowed, until=until),)
        return (words.say("limits.why_spent", allowed=allowed),)
    if not rate:
        return ()
    if not holding.until:
        return (words.say("limits.why_rate", rate=rate),)
    until = words.time(holding.until, site.time_zone)
    return (words.say("limits.why_rate_until", rate=rate, until=until),)


def _rates(words: Catalogue, applied: Applied) -> str:
    """How fast it lets things through, in words; empty for as fast as it goes."""
    down, up = (rate_text(rate) if rate else "" for rate in (applied.rate(0), applied.rate(1)))
    if down and up:
        return (
            words.say("limits.each_way", rate=down)
            if down == up
            else words.say("limits.ways", down=down, up=up)
        )
    if down or up:
        return words.say("limits.one_way_down" if down else "limits.one_way_up", rate=down or up)
    return ""


def _facts(words: Catalogue, site: Site, holding: Holding) -> list[Fact]:
    return [*_rate_facts(words, holding), *_shared(words, holding), *_quota_facts(words, site, holding)]


def _rate_facts(words: Catalogue, holding: Holding) -> Iterator[Fact]:
    for way, name in ((0, "download"), (1, "upload")):
        rate = holding.applied.rate(way)
        if rate:
            yield Fact(name, words.say(f"limits.{name}"), rate_text(rate))


def _shared(words: Catalogue, holding: Holding) -> Iterator[Fact]:
    """With whom it is counted together, where that is not the person alone."""
    limit, whom = holding.applied.limit, holding.applied.whom
    told = shared_with(words, limit, whom)
    if not told and limit.per is Per.DEVICE and whom:
        told = words.say("access.address", name=shown(whom))
    if told:
        yield Fact("shared", words.say("limits.shared"), told)


def shared_with(words: Catalogue, limit: Limit, whom: str) -> str:
    """Who has a limit together, in words; empty for one of a person or a device alone."""
    if limit.per in (Per.SITE, Per.CATEGORY):
        return words.say("limits.everybody")
    if whom and limit.per in (Per.GROUP, Per.NETWORK):
        return words.say(f"access.{limit.per.value}", name=shown(whom))
    return ""


def _quota_facts(words: Catalogue, site: Site, holding: Holding) -> Iterator[Fact]:
    quota, standing = holding.applied.limit.quota, holding.standing
    if quota is None or (standing is not None and not standing.is_known):
        return
    allowed = standing.allowed if standing is not None else quota.allowed
    used = standing.used if standing is not None else 0.0
    told = words.say("limits.of", used=quota.amount(used), allowed=quota.amount(allowed))
    yield Fact("used", words.say("limits.used"), told)
    yield Fact("left", words.say("limits.left"), quota.amount(max(allowed - used, 0)))
    until = words.time(standing.until, site.time_zone) if standing is not None else ""
    if holding.granted:
        given = words.say("limits.granted_until", more=quota.amount(holding.granted), until=until)
        yield Fact("granted", words.say("limits.granted"), given)
    if holding.since:
        yield Fact("since", words.say("limits.since"), words.time(holding.since, site.time_zone))
    if until:
        yield Fact("until", words.say("limits.until"), until)
