"""The pages of decisions: blocked, warned, led elsewhere."""

from __future__ import annotations

from urllib.parse import quote

from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.occasion import Occasion, closing_facts, person_facts
from corpproxy.pages.sheet import Fact, Form, Link, Sheet, Tone
from corpproxy.pages.shown import MAX_URI, sentence, shown
from corpproxy.pages.site import Site
from corpproxy.policy.model import Decision, Spent


def blocked(
    words: Catalogue, site: Site, decision: Decision, occasion: Occasion, form: Form | None = None
) -> Sheet:
    """
    Say that a page is blocked: what, why, by which sentence, and whom to ask.

    ``form`` asks for access, where somebody could give it.
    """
    return Sheet(
        status=403,
        kind="blocked",
        tone=Tone.STOP,
        title=words.say("block.title", host=occasion.host),
        lead=(_blocked_lead(words, site, decision),),
        quote=sentence(decision.say),
        facts=refusal_facts(words, site, decision.category, occasion),
        form=form,
        links=_blocked_links(words, site, decision, occasion),
        small=rule_facts(words, decision.rule, decision.reason, occasion.policy),
        subject=words.say("block.title", host=occasion.host),
        ask=words.say("page.ask"),
    )


def _blocked_lead(words: Catalogue, site: Site, decision: Decision) -> str:
    if decision.spent is not None:
        return spent_lead(words, site, decision.spent)
    return lead(words, "block", decision.category)


def _blocked_links(words: Catalogue, site: Site, decision: Decision, occasion: Occasion) -> tuple[Link, ...]:
    why = why_link(words, site, occasion.reference)
    if decision.spent is None:
        return (why,)
    return Link("home", site.portal_uri, words.say("spent.portal")), why


def spent_lead(words: Catalogue, site: Site, spent: Spent) -> str:
    """Say which quota is used up, how much that was, and when it opens again."""
    until = words.time(spent.until, site.time_zone) if spent.until else words.say("spent.soon")
    key = "lead" if spent.allowed else "unknown"
    values = {"allowed": spent.allowed} if spent.allowed else {}
    return words.say(f"spent.{key}", limit=shown(spent.limit), until=until, **values)


def warning(words: Catalogue, site: Site, decision: Decision, occasion: Occasion, form: Form) -> Sheet:
    """Ask whether the person really means it; ``form`` is the one that goes on."""
    return Sheet(
        status=403,
        kind="warned",
        tone=Tone.WARN,
        title=words.say("warn.title", host=occasion.host),
        lead=(lead(words, "warn", decision.category), words.say("warn.back")),
        quote=sentence(decision.say),
        facts=refusal_facts(words, site, decision.category, occasion),
        form=form,
        links=(why_link(words, site, occasion.reference),),
        small=rule_facts(words, decision.rule, decision.reason, occasion.policy),
        subject=words.say("block.title", host=occasion.host),
        ask=words.say("page.ask"),
    )


def redirected(words: Catalogue, uri: str) -> Sheet:
    """Say where an address leads instead: what shows where the redirect is not followed."""
    return Sheet(
        status=302,
        kind="redirected",
        tone=Tone.PLAIN,
        title=words.say("redirect.title"),
        lead=(words.say("redirect.lead"),),
        links=(Link("location", uri, words.say("redirect.link")),),
    )


def confirm_form(words: Catalogue, site: Site, token: str, host: str, seconds: int) -> Form:
    """Give the form that confirms a warning."""
    return Form(
        action=f"{site.portal_uri}confirm",
        button=words.say("warn.button"),
        hidden=(("token", token),),
        note=words.say("warn.note", host=shown(host), duration=words.duration(seconds)),
    )


def lead(words: Catalogue, page: str, category: str) -> str:
    """Give the first sentence of a page, with the category where one decided."""
    if not category:
        return words.say(f"{page}.lead")
    return words.say(f"{page}.lead_category", category=shown(words.category(category)))


def refusal_facts(words: Catalogue, site: Site, category: str, occasion: Occasion) -> tuple[Fact, ...]:
    """Give the facts of a refusal, in the order a person asks for them."""
    about = [Fact("uri", words.say("fact.uri"), occasion.uri)] if occasion.uri else []
    if category:
        about.append(Fact("category", words.say("fact.category"), shown(words.category(category))))
    return (*about, *person_facts(words, occasion), *closing_facts(words, site, occasion))


def rule_facts(words: Catalogue, rule: str, reason: str, policy: str) -> tuple[Fact, ...]:
    """Give what an administrator wants to know: the rule, why it matched, the version of the policy."""
    facts = (("rule", rule), ("reason", reason), ("policy", policy))
    return tuple(
        Fact(name, words.say(f"fact.{name}"), shown(value, MAX_URI)) for name, value in facts if value
    )


def why_link(words: Catalogue, site: Site, reference: str) -> Link:
    """Lead to the portal's page of a refusal, where the person finds it again."""
    return Link(
        "why",
        f"{site.portal_uri}why/{quote(reference[:64], safe='', errors='replace')}",
        words.say("block.why"),
    )
