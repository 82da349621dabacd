"""The pages about more of a quota: asking for it, deciding on it, and what became of it."""

from __future__ import annotations

from corpproxy.identity.requests import AccessRequest
from corpproxy.pages.access import back, refusing, request_facts, waits, whom
from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.sheet import Choice, Fact, Form, Input, Section, Sheet, Tone
from corpproxy.pages.shown import sentence, shown
from corpproxy.pages.site import Site


def more_form(words: Catalogue, site: Site, token: str, together: str) -> Form:
    """Give the form that asks for more of a quota; ``together`` says who has it, where that are several."""
    note = words.say("more.note")
    return Form(
        action=f"{site.portal_uri}ask-more",
        button=words.say("more.button"),
        hidden=(("token", token),),
        inputs=(Input("reason", words.say("ask.reason"), kind="text"),),
        note=f"{words.say('more.for_all', whom=together)} {note}" if together else note,
    )


def asked(words: Catalogue, site: Site, request: AccessRequest) -> Sheet:
    """Say that a request waits now."""
    return waits(words, site, "more-asked", words.say("more.done_lead", limit=shown(request.limit)))


def decide(
    words: Catalogue,
    site: Site,
    request: AccessRequest,
    tokens: tuple[str, str],
    amounts: tuple[tuple[str, str], ...],
    stands: str,
    together: str,
) -> Sheet:
    """
    Give the page of one request: the forms that give and refuse, each with its token.

    ``stands`` says how much is used, ``together`` who has the quota where that are several.
    """
    give, refuse = tokens
    giving = Form(
        f"{site.portal_uri}requests/more",
        words.say("more.give"),
        hidden=(("token", give),),
        choices=(Choice("amount", words.say("more.how_much"), amounts),),
        note=words.say("more.give_note"),
    )
    stand = (Fact("used", words.say("limits.used"), stands),) if stands else ()
    shared = (Fact("shared", words.say("limits.shared"), together),) if together else ()
    for_all = (words.say("more.for_all", whom=together),) if together else ()
    title = words.say("more.one_title", who=whom(words, request.who), limit=shown(request.limit))
    return Sheet(
        status=200,
        kind="request",
        tone=Tone.KEY,
        title=title,
        quote=sentence(request.reason),
        facts=(*request_facts(words, site, request), *shared, *stand),
        sections=(
            Section(words.say("more.give_title"), for_all, form=giving),
            refusing(words, site, refuse),
        ),
        links=(back(words, site),),
    )


def given(words: Catalogue, site: Site, request: AccessRequest, more: str, together: str) -> Sheet:
    """Say how much was given to whom until when."""
    lead = words.say(
        "more.given_lead",
        who=together or whom(words, request.who),
        limit=shown(request.limit),
        more=more,
        until=words.time(request.until, site.time_zone),
    )
    title = words.say("more.given_title")
    return Sheet(200, "more-given", Tone.GOOD, title, lead=(lead,), links=(back(words, site),))
