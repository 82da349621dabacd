"""The person's own pages on the portal: last refusals, a refusal, a confirmed warning, the password."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote

from corpproxy.accounting.last_days import DayUse
from corpproxy.identity.model import Identity
from corpproxy.identity.requests import AccessRequest
from corpproxy.pages.access import ask_form, own_requests
from corpproxy.pages.block import confirm_form, rule_facts, spent_lead
from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.confirm import Warned
from corpproxy.pages.days import days_section
from corpproxy.pages.holdings import Holding, Offer, holdings_section
from corpproxy.pages.occasion import Occasion, person_facts
from corpproxy.pages.refusals import PastRefusal
from corpproxy.pages.sheet import Card, Fact, Form, Input, Link, Section, Sheet, Tone
from corpproxy.pages.shown import sentence, shown
from corpproxy.pages.site import Site
from corpproxy.policy.model import Effect

_EFFECT = {Effect.BLOCK: "portal.blocked", Effect.WARN: "portal.warned", Effect.REDIRECT: "portal.redirected"}


def start(
    words: Catalogue,
    site: Site,
    occasion: Occasion,
    refusals: list[tuple[PastRefusal, str]],
    *,
    has_password: bool,
    requests: tuple[AccessRequest, ...] = (),
    waiting: int | None = None,
    holdings: tuple[Holding, ...] = (),
    days: Sequence[DayUse] | None = (),
    more: Callable[[Holding], tuple[Offer, str]] = lambda holding: (Offer.NONE, ""),
) -> Sheet:
    """
    Give the start page.

    Each refusal comes with the token that confirms it or asks for access, empty where neither can be.
    ``waiting`` is how many requests wait for this person to decide on them, None for somebody who may not.
    ``days`` are the last days, None where they cannot be read, empty where there are none to show.
    ``more`` says whether more of a quota can be asked for, with the token of the form that does.
    """
    asked = (own_requests(words, site, requests),) if requests else ()
    held = (holdings_section(words, site, [(one, *more(one)) for one in holdings]),) if holdings else ()
    lately = (days_section(words, days),) if days is None or any(one.octets for one in days) else ()
    return Sheet(
        status=200,
        kind="portal",
        tone=Tone.PLAIN,
        title=words.say("portal.title"),
        lead=(_signed_in(words, occasion),),
        links=_to_decide(words, site, waiting),
        sections=(*asked, *held, *lately, _refusals(words, site, refusals), _more(words, site, has_password)),
        subject=words.say("portal.title"),
        ask=words.say("page.help"),
    )


def _to_decide(words: Catalogue, site: Site, waiting: int | None) -> tuple[Link, ...]:
    if waiting is None:
        return ()
    text = words.say("portal.requests", count=waiting) if waiting else words.say("portal.no_requests")
    return (Link("requests", f"{site.portal_uri}requests", text),)


def _signed_in(words: Catalogue, occasion: Occasion) -> str:
    if occasion.identity.name:
        return words.say("portal.signed_in", user=shown(occasion.identity.name))
    return words.say("portal.not_signed_in", client=shown(occasion.client))


def _refusals(words: Catalogue, site: Site, refusals: list[tuple[PastRefusal, str]]) -> Section:
    lead = "portal.refusals_lead" if refusals else "portal.no_refusals"
    return Section(
        title=words.say("portal.refusals"),
        text=(words.say(lead),),
        cards=tuple(_card(words, site, past, token) for past, token in refusals),
    )


def _card(words: Catalogue, site: Site, past: PastRefusal, token: str) -> Card:
    return Card(
        title=past.host,
        lead=words.say(_EFFECT[past.effect]),
        text=_spent(words, site, past),
        quote=past.say,
        facts=(*_category(words, past), _when(words, site, past), _reference(words, past)),
        links=(Link("why", why_uri(site, past.reference), words.say("portal.why")),),
        form=_form(words, site, past, token),
        tone=past.tone,
    )


def _spent(words: Catalogue, site: Site, past: PastRefusal) -> tuple[str, ...]:
    return () if past.spent is None else (spent_lead(words, site, past.spent),)


def _category(words: Catalogue, past: PastRefusal) -> tuple[Fact, ...]:
    if not past.category:
        return ()
    return (Fact("category", words.say("fact.category"), shown(words.category(past.category))),)


def _when(words: Catalogue, site: Site, past: PastRefusal) -> Fact:
    time = words.time(past.at, site.time_zone)
    told = time if past.count == 1 else words.say("portal.times", count=past.count, time=time)
    return Fact("time", words.say("fact.time"), told)


def _reference(words: Catalogue, past: PastRefusal) -> Fact:
    return Fact("reference", words.say("fact.reference"), shown(past.reference), exact=True)


def _form(words: Catalogue, site: Site, past: PastRefusal, token: str) -> Form | None:
    if not token:
        return None
    if past.warning is None:
        return ask_form(words, site, token)
    return confirm_form(words, site, token, past.warning.host, past.warning.seconds)


def _more(words: Catalogue, site: Site, has_password: bool) -> Section:
    setup = Link("setup", f"{site.portal_uri}setup", words.say("portal.setup"))
    change = Link("password", f"{site.portal_uri}password", words.say("portal.password"))
    return Section(words.say("portal.actions"), links=(change, setup) if has_password else (setup,))


def why_uri(site: Site, reference: str) -> str:
    """Give the address of the page about one refusal."""
    return f"{site.portal_uri}why/{quote(reference, safe='', errors='replace')}"


def why(words: Catalogue, site: Site, occasion: Occasion, past: PastRefusal, token: str) -> Sheet:
    """Say all there is to say about one own refusal."""
    title = words.say("why.title_block", host=past.host)
    return Sheet(
        status=200,
        kind="refusal",
        tone=past.tone,
        title=title,
        lead=(words.say("why.lead", time=words.time(past.at, site.time_zone)), *_spent(words, site, past)),
        quote=past.say,
        facts=(
            Fact("uri", words.say("fact.uri"), past.uri),
            *_category(words, past),
            *person_facts(words, occasion),
            _when(words, site, past),
            _reference(words, past),
        ),
        form=_form(words, site, past, token),
        links=(_home(words, site),),
        small=rule_facts(words, past.rule, past.reason, past.policy),
        subject=title,
        ask=words.say("page.ask"),
    )


def confirmed(words: Catalogue, warning: Warned) -> Sheet:
    """Say that a host is open now; browsers follow the way back by themselves."""
    host = shown(warning.host)
    return Sheet(
        status=303,
        kind="confirmed",
        tone=Tone.GOOD,
        title=words.say("confirmed.title"),
        lead=(words.say("confirmed.lead", host=host, duration=words.duration(warning.seconds)),),
        links=(Link("location", warning.uri, words.say("confirmed.link", host=host)),),
    )


def password(
    words: Catalogue, site: Site, identity: Identity, token: str, *, status: int, reason: str
) -> Sheet:
    """Give the form that changes the password, after a refusal with the reason."""
    old = Input("old", words.say("password.old"), autocomplete="current-password")
    new = Input("new", words.say("password.new"), autocomplete="new-password")
    again = Input("again", words.say("password.again"), autocomplete="new-password")
    return Sheet(
        status=status,
        kind="password",
        tone=Tone.STOP if reason else Tone.KEY,
        title=words.say("password.refused_title" if reason else "password.title"),
        lead=(words.say("password.lead", user=shown(identity.name)),),
        quote=sentence(reason),
        form=Form(
            action=f"{site.portal_uri}password",
            button=words.say("password.button"),
            hidden=(("token", token),),
            inputs=(old, new, again),
        ),
        links=(_home(words, site),),
    )


def password_changed(words: Catalogue, site: Site) -> Sheet:
    """Say that the password is changed."""
    return Sheet(
        status=200,
        kind="password-changed",
        tone=Tone.GOOD,
        title=words.say("password.changed_title"),
        lead=(words.say("password.changed_lead"),),
        links=(_home(words, site),),
    )


def no_password(words: Catalogue, site: Site) -> Sheet:
    """Say that this person signed in without a password that could be changed here."""
    return Sheet(
        status=403,
        kind="password",
        tone=Tone.KEY,
        title=words.say("password.unavailable_title"),
        lead=(words.say("password.unavailable_lead"),),
        links=(_home(words, site),),
    )


def setup_links(words: Catalogue, site: Site, via_proxy: bool) -> tuple[Link, ...]:
    """Lead from the setup page to the file, and to the start page."""
    home = _home(words, site) if via_proxy else Link("home", site.portal_uri, words.say("portal.open_portal"))
    return (home,)


def _home(words: Catalogue, site: Site) -> Link:
    return Link("home", site.portal_uri, words.say("page.home"))
