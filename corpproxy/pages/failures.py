"""
The failure pages: for every symbolic code a status and the words that explain it.

Codes come from the whole proxy, many more than there are things a person can do about them; so
several codes share their words, and the code itself stands on the page, in the record and in the manual.
A code that is not in the table gets a general page: a page never fails.
"""

from __future__ import annotations

from dataclasses import dataclass

from corpproxy.http1.refusals import REFUSED
from corpproxy.pages.catalogue import Catalogue
from corpproxy.pages.occasion import Occasion, closing_facts, person_facts
from corpproxy.pages.sheet import Fact, Link, Sheet, Tone
from corpproxy.pages.shown import MAX_URI, shown
from corpproxy.pages.site import Site


@dataclass(frozen=True, slots=True)
class Failure:
    """What is answered to a code: the status where the failure brings none, and which words."""

    status: int
    words: str


# The words for what a client sent, by status: all that the reader of HTTP refuses has one of these.
_BY_STATUS = {
    400: "request-invalid",
    404: "page-unknown",
    405: "method-refused",
    408: "request-timeout",
    413: "content-too-large",
    414: "too-long",
    417: "not-supported",
    429: "too-many-connections",
    431: "too-long",
    500: "internal",
    501: "not-supported",
    502: "upstream",
    503: "unavailable",
    504: "answer-timeout",
    505: "not-supported",
}

# Words that tell a person what their own program sent; said of a server they would be untrue.
_ABOUT_THE_CLIENT = frozenset({
    "request-invalid", "address-invalid", "too-long", "content-too-large", "not-supported", "method-refused",
    "request-timeout", "not-a-proxy-request", "page-unknown",
})  # fmt: skip

FAILURES: dict[str, Failure] = {
    # What HTTP/1.1 refuses; statuses stand with the reasons in http1.
    **{
        code: Failure(refused.status, _BY_STATUS.get(refused.status, "refused"))
        for code, refused in REFUSED.items()
    },
    "bad-status-line": Failure(502, "answer-invalid"),
    "foreign-challenge": Failure(502, "answer-invalid"),
    "bad-authority": Failure(400, "address-invalid"),
    "bad-host-field": Failure(400, "address-invalid"),
    "bad-connect-target": Failure(400, "address-invalid"),
    "bad-host": Failure(400, "address-invalid"),
    "bad-port": Failure(400, "address-invalid"),
    "userinfo": Failure(400, "address-invalid"),
    "head-timeout": Failure(408, "request-timeout"),
    "content-timeout": Failure(408, "request-timeout"),
    # A client that takes us for something else.
    "not-for-a-proxy": Failure(400, "not-a-proxy-request"),
    "not-a-proxy": Failure(405, "not-a-proxy-request"),
    "scheme-not-served": Failure(501, "not-supported"),
    # The way to the server.
    "name-unknown": Failure(502, "name-unknown"),
    "name-failed": Failure(502, "name-failed"),
    "no-route": Failure(502, "connect-failed"),
    "connect-refused": Failure(502, "connect-refused"),
    "connect-timeout": Failure(504, "connect-timeout"),
    "connect-failed": Failure(502, "connect-failed"),
    "upstream-closed": Failure(502, "upstream-closed"),
    "answer-timeout": Failure(504, "answer-timeout"),
    "answer-invalid": Failure(502, "answer-invalid"),
    "answer-cut-short": Failure(502, "upstream-closed"),
    "tunnel-reset": Failure(502, "upstream-closed"),
    "upgrade-not-asked": Failure(502, "answer-invalid"),
    "server-busy": Failure(504, "busy"),
    # What the safety table refuses on the way; within a tunnel no page can be shown any more.
    "address-refused": Failure(403, "address-refused"),
    "tunnel-content": Failure(403, "tunnel-refused"),
    "server-name": Failure(403, "tunnel-refused"),
    "tunnel-silent": Failure(403, "tunnel-refused"),
    # What we cannot do at the moment.
    "too-many-connections": Failure(429, "too-many-connections"),
    "directory-busy": Failure(503, "busy"),
    "directory-down": Failure(503, "unavailable"),
    "directory-stopped": Failure(503, "unavailable"),
    "records-full": Failure(503, "unavailable"),
    "stopping": Failure(503, "unavailable"),
    "internal": Failure(500, "internal"),
    # The portal.
    "page-unknown": Failure(404, "page-unknown"),
    "method-refused": Failure(405, "method-refused"),
    "form-invalid": Failure(400, "form-invalid"),
    "form-too-large": Failure(413, "content-too-large"),
    "form-forged": Failure(403, "form-forged"),
    "form-expired": Failure(403, "form-expired"),
    "sign-in-needed": Failure(403, "sign-in-needed"),
}


def find_failure(code: str, status: int = 0) -> Failure:
    """
    Give status and words for a code; ``status`` is the one that the failure brought, 0 when it brought none.

    What a server did wrong is answered with 502 or 504 although its code is one of a malformed message.
    """
    known = FAILURES.get(code)
    if not 400 <= status <= 599:
        status = known.status if known is not None else 500
    words = known.words if known is not None else _BY_STATUS.get(status, _general(status))
    if status in {502, 504} and words in _ABOUT_THE_CLIENT:
        words = "answer-timeout" if status == 504 else "answer-invalid"
    return Failure(status, words)


def _general(status: int) -> str:
    return "refused" if status < 500 else "internal"


def failed(
    words: Catalogue, site: Site, code: str, occasion: Occasion, *, status: int = 0, detail: str = ""
) -> Sheet:
    """Say what failed, and what to do now; ``detail`` is a sentence for administrators, in English."""
    failure = find_failure(code, status)
    title = words.say(f"failure.{failure.words}.title", host=occasion.host)
    about = (Fact("uri", words.say("fact.uri"), occasion.uri),) if occasion.uri else ()
    small = [Fact("code", words.say("fact.code"), shown(code), exact=True)]
    if detail:
        small.append(Fact("detail", words.say("fact.detail"), shown(detail, MAX_URI)))
    return Sheet(
        status=failure.status,
        kind="failed",
        tone=Tone.FAULT,
        title=title,
        code=shown(code),
        lead=(words.say(f"failure.{failure.words}.what"), words.say(f"failure.{failure.words}.todo")),
        facts=(*about, *person_facts(words, occasion), *closing_facts(words, site, occasion)),
        links=(Link("home", site.portal_uri, words.say("page.home")),),
        small=tuple(small),
        subject=title,
        ask=words.say("page.help"),
    )


def challenge(words: Catalogue, site: Site, code: str, occasion: Occasion, *, status: int = 407) -> Sheet:
    """Say that one must sign in: what a person sees who closes the box for name and password."""
    wrong = code not in {"credentials-missing", ""}
    return Sheet(
        status=status,
        kind="challenged",
        tone=Tone.KEY,
        title=words.say("challenge.title"),
        code=shown(code),
        lead=(
            words.say("challenge.lead_wrong" if wrong else "challenge.lead", realm=shown(site.realm)),
            words.say("challenge.todo"),
        ),
        facts=closing_facts(words, site, occasion),
        subject=words.say("challenge.title"),
        ask=words.say("page.help"),
    )
