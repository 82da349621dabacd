"""The pages about access: asking for it, what became of that, deciding on it, ending it."""

from __future__ import annotations

from urllib.parse import quote

from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest, State
from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.sheet import Card, Choice, Fact, Form, Input, Link, Section, Sheet, Tone
from corpproxy.pages.shown import MAX_URI, sentence, shown
from corpproxy.pages.site import Site

# Hosts beside the one that was asked for: so many are named, of the others the number.
NAMED_HOSTS = 5

_STATE = {State.WAITING: "access.waiting", State.GRANTED: "access.granted", State.REFUSED: "access.refused"}
_TONE = {State.WAITING: Tone.PLAIN, State.GRANTED: Tone.GOOD, State.REFUSED: Tone.STOP}


# For the person.


def ask_form(words: Catalogue, site: Site, token: str) -> Form:
    """Give the form that asks for access to what was refused."""
    return Form(
        action=f"{site.portal_uri}ask",
        button=words.say("ask.button"),
        hidden=(("token", token),),
        inputs=(Input("reason", words.say("ask.reason"), kind="text"),),
        note=words.say("ask.note"),
    )


def asked(words: Catalogue, site: Site, request: AccessRequest) -> Sheet:
    """Say that a request waits now."""
    return waits(words, site, "access-asked", words.say("ask.done_lead", host=shown(request.host)))


def waits(words: Catalogue, site: Site, kind: str, lead: str) -> Sheet:
    """Say in the words of ``lead`` that a request waits now, whatever it is for."""
    return Sheet(200, kind, Tone.GOOD, words.say("ask.done_title"), lead=(lead,), links=(home(words, site),))


def not_taken(words: Catalogue, site: Site, code: str) -> Sheet:
    """Say why a request is not taken just now."""
    return Sheet(
        status=429,
        kind="access-not-asked",
        tone=Tone.WARN,
        title=words.say("ask.not_title"),
        code=code,
        lead=(words.say(f"ask.{code.replace('-', '_')}"),),
        links=(home(words, site),),
    )


def own_requests(words: Catalogue, site: Site, requests: tuple[AccessRequest, ...]) -> Section:
    """Give what a person asked for, and what became of it."""
    return Section(words.say("access.own"), cards=tuple(_own(words, site, one) for one in requests))


def title_of(words: Catalogue, request: AccessRequest) -> str:
    """What a request is for, as the title of a card."""
    return words.say("more.title", limit=shown(request.limit)) if request.limit else shown(request.host)


def _own(words: Catalogue, site: Site, request: AccessRequest) -> Card:
    facts = [Fact("time", words.say("fact.time"), words.time(request.at, site.time_zone))]
    if request.by:
        facts.append(Fact("by", words.say("access.by"), shown(request.by)))
    until = words.time(request.until, site.time_zone)
    state = _STATE[request.state]
    if request.limit and request.state is State.GRANTED:
        state = "more.granted"
    return Card(
        title=title_of(words, request),
        lead=words.say(state, until=until),
        quote=sentence(request.answer),
        facts=tuple(facts),
        tone=_TONE[request.state],
    )


# For those who decide.


def waiting(
    words: Catalogue,
    site: Site,
    requests: tuple[AccessRequest, ...],
    grants: tuple[tuple[Grant, str], ...],
    unasked: Form,
) -> Sheet:
    """Give the requests that somebody may decide on, and the grants to end, each with its token."""
    lead = words.say("requests.lead" if requests else "requests.none")
    asking = Section(
        words.say("requests.waiting"), (lead,), cards=tuple(_asking(words, site, one) for one in requests)
    )
    given = Section(
        words.say("requests.given"), cards=tuple(_given(words, site, one, token) for one, token in grants)
    )
    letting = Section(words.say("requests.new_title"), form=unasked, folded=True)
    return Sheet(
        status=200,
        kind="requests",
        tone=Tone.KEY,
        title=words.say("requests.title"),
        sections=(asking, *((given,) if grants else ()), letting),
        links=(home(words, site),),
    )


def _asking(words: Catalogue, site: Site, request: AccessRequest) -> Card:
    return Card(
        title=title_of(words, request),
        lead=whom(words, request.who),
        quote=sentence(request.reason),
        facts=request_facts(words, site, request),
        links=(Link("decide", request_uri(site, request), words.say("requests.decide")),),
        tone=Tone.KEY,
    )


def _given(words: Catalogue, site: Site, grant: Grant, token: str) -> Card:
    end = Form(f"{site.portal_uri}requests/end", words.say("requests.end"), hidden=(("token", token),))
    return Card(
        title=shown(grant.host),
        lead=whom(words, grant.who),
        facts=(
            Fact("until", words.say("access.until"), words.time(grant.until, site.time_zone)),
            *_also(words, grant.hosts[1:]),
        ),
        form=end,
        tone=Tone.GOOD,
    )


def request_facts(words: Catalogue, site: Site, request: AccessRequest) -> tuple[Fact, ...]:
    """Give what somebody who decides wants to know."""
    facts = [Fact("uri", words.say("fact.uri"), shown(request.uri, MAX_URI))] if request.uri else []
    if request.category:
        facts.append(Fact("category", words.say("fact.category"), shown(words.category(request.category))))
    if request.groups:
        facts.append(Fact("groups", words.say("access.groups"), shown(", ".join(request.groups))))
    facts.append(Fact("time", words.say("fact.time"), words.time(request.at, site.time_zone)))
    if request.rule:
        facts.append(Fact("rule", words.say("fact.rule"), shown(request.rule)))
    return (*facts, *_also(words, tuple(host for host, _ in request.also)))


def _also(words: Catalogue, hosts: tuple[str, ...]) -> tuple[Fact, ...]:
    return (Fact("also", words.say("access.also"), named(words, hosts)),) if hosts else ()


def named(words: Catalogue, hosts: tuple[str, ...]) -> str:
    """Name some hosts, and the number of the others."""
    told = shown(", ".join(hosts[:NAMED_HOSTS]), 300)
    more = len(hosts) - NAMED_HOSTS
    if more <= 0:
        return told
    return words.say("access.and_one" if more == 1 else "access.and_more", hosts=told, count=more)


def unasked_form(words: Catalogue, site: Site, token: str, choices: tuple[Choice, ...]) -> Form:
    """Give the form that lets somebody through who did not ask."""
    return Form(
        f"{site.portal_uri}requests/new",
        words.say("requests.let"),
        hidden=(("token", token),),
        inputs=(
            Input("host", words.say("requests.new_host"), kind="text"),
            Input("name", words.say("requests.new_name"), kind="text", required=False),
            Input("why", words.say("requests.new_why"), kind="text"),
        ),
        choices=choices,
        note=words.say("requests.let_note"),
    )


def not_let(words: Catalogue, site: Site) -> Sheet:
    """Say that this person may not be let through by the one who decides, or is nobody."""
    return Sheet(
        status=403,
        kind="access-not-given",
        tone=Tone.WARN,
        title=words.say("requests.not_title"),
        lead=(words.say("requests.not_lead"),),
        links=(back(words, site),),
    )


def decide(
    words: Catalogue,
    site: Site,
    request: AccessRequest,
    tokens: tuple[str, str],
    choices: tuple[Choice, ...],
) -> Sheet:
    """Give the page of one request: the forms that let through and refuse, each with its token."""
    let, refuse = tokens
    letting = Form(
        f"{site.portal_uri}requests/let",
        words.say("requests.let"),
        hidden=(("token", let),),
        choices=choices,
        note=words.say("requests.let_note"),
    )
    title = words.say("requests.one_title", who=whom(words, request.who), host=shown(request.host))
    return Sheet(
        status=200,
        kind="request",
        tone=Tone.KEY,
        title=title,
        quote=sentence(request.reason),
        facts=request_facts(words, site, request),
        sections=(
            Section(words.say("requests.let_title"), form=letting),
            refusing(words, site, refuse),
        ),
        links=(back(words, site),),
    )


def refusing(words: Catalogue, site: Site, token: str) -> Section:
    """Give the part of the page of a request that refuses it."""
    form = Form(
        f"{site.portal_uri}requests/refuse",
        words.say("requests.refuse"),
        hidden=(("token", token),),
        inputs=(Input("answer", words.say("requests.answer"), kind="text", required=False),),
    )
    return Section(words.say("requests.refuse_title"), form=form)


def sure(words: Catalogue, site: Site, grant: Grant, count: int, token: str, path: str = "sure") -> Sheet:
    """Ask once more before many are let through; ``count`` is how many are known, 0 when nobody knows."""
    key = {0: "requests.sure_all", 1: "requests.sure_one"}.get(count, "requests.sure_count")
    values = {"who": whom(words, grant.who), "host": named(words, grant.hosts)}
    until = words.time(grant.until, site.time_zone)
    return Sheet(
        status=200,
        kind="request-sure",
        tone=Tone.WARN,
        title=words.say("requests.sure_title", **values),
        lead=(words.say("requests.sure_lead", until=until, **values), words.say(key, count=count)),
        form=Form(f"{site.portal_uri}requests/{path}", words.say("requests.let"), hidden=(("token", token),)),
        links=(back(words, site),),
    )


def given(words: Catalogue, site: Site, grant: Grant) -> Sheet:
    """Say who is let through to what until when."""
    return _done(
        words,
        site,
        "grant-given",
        words.say("requests.given_title"),
        words.say(
            "requests.given_lead",
            who=whom(words, grant.who),
            host=named(words, grant.hosts),
            until=words.time(grant.until, site.time_zone),
        ),
    )


def refused(words: Catalogue, site: Site, request: AccessRequest) -> Sheet:
    """Say that a request is refused."""
    what = shown(request.host)
    if request.limit:
        what = words.say("more.title", limit=shown(request.limit))
    lead = words.say("requests.refused_lead", who=whom(words, request.who), host=what)
    return _done(words, site, "request-refused", words.say("requests.refused_title"), lead)


def ended(words: Catalogue, site: Site, grant: Grant) -> Sheet:
    """Say that a grant is over."""
    lead = words.say("requests.ended_lead", who=whom(words, grant.who), host=shown(grant.host))
    return _done(words, site, "grant-ended", words.say("requests.ended_title"), lead)


def settled(words: Catalogue, site: Site) -> Sheet:
    """Say that somebody was faster, or that it is too late."""
    return Sheet(
        status=409,
        kind="request-settled",
        tone=Tone.WARN,
        title=words.say("requests.settled_title"),
        lead=(words.say("requests.settled_lead"),),
        links=(back(words, site),),
    )


def _done(words: Catalogue, site: Site, kind: str, title: str, lead: str) -> Sheet:
    return Sheet(200, kind, Tone.GOOD, title, lead=(lead,), links=(back(words, site),))


def whom(words: Catalogue, who: str) -> str:
    """Name a grantee for people: a person, a group, a room, a device."""
    kind, colon, name = who.partition(":")
    if not colon:
        return shown(who)
    return words.say(f"access.{kind}", name=shown(name))


def request_uri(site: Site, request: AccessRequest) -> str:
    """Give the address of the page of one request."""
    return f"{site.portal_uri}requests/{quote(request.id, safe='', errors='replace')}"


def home(words: Catalogue, site: Site) -> Link:
    """Lead to the start page."""
    return Link("home", site.portal_uri, words.say("page.home"))


def back(words: Catalogue, site: Site) -> Link:
    """Lead to the requests that wait."""
    return Link("requests", f"{site.portal_uri}requests", words.say("requests.back"))
