"""A school and its pages, for tests; ``python -m tests.pages.samples FOLDER`` writes them to look at."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from corpproxy.accounting.last_days import DayUse
from corpproxy.destination.model import Destination, Host
from corpproxy.errors import Place
from corpproxy.identity.forms import Signer
from corpproxy.identity.grants import Grant
from corpproxy.identity.model import Identity
from corpproxy.identity.people import People
from corpproxy.identity.requests import AccessRequest, State
from corpproxy.identity.settings import IdentitySettings, NetworkIdentity
from corpproxy.pages.actions import Ask, End, Give, GiveMore, Let, Refuse
from corpproxy.pages.desk import Access
from corpproxy.pages.holdings import Holding
from corpproxy.pages.negotiate import Audience, Media
from corpproxy.pages.occasion import Occasion
from corpproxy.pages.pac import PacTable, compile_pac
from corpproxy.pages.page import Page
from corpproxy.pages.portal import ConfirmWarning, Portal, PortalRequest
from corpproxy.pages.refusals import Refusals
from corpproxy.pages.render import Pages
from corpproxy.pages.site import Contact, Logo, Site
from corpproxy.policy.approvals import Approval, Approvals
from corpproxy.policy.conditions import Who
from corpproxy.policy.limits import Applied, Limit, Limits, Per
from corpproxy.policy.model import Decision, Effect, Spent
from corpproxy.policy.quota import Every, Quota, Standing, Standings, Then

LOGO = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">
<rect width="40" height="40" rx="9" fill="#28603f"/>
<path d="M6 29l9-13 6 8 4-5 9 10z" fill="#e7f3ec"/><circle cx="28" cy="12" r="3.5" fill="#eec477"/></svg>"""

SITE = Site(
    name="Hillside School",
    contact=Contact("IT room 4", "it@hillside.example", "+44 1632 960 123"),
    logo=Logo("image/svg+xml", LOGO),
    portal=Host("proxy.internal"),
    realm="Hillside",
    time_zone=ZoneInfo("Europe/London"),
)
SIGNER = Signer(b"a key that is thirty-two octets!")
NOW = 1_795_430_700.0  # 23 November 2026, 10:45 in London
AMIR = Identity("amir", ("pupils",))
ANNA = Identity("anna", ("staff",))
TABLE = PacTable(("proxy.hillside.example:3128",), (".hillside.example",), (), "proxy.internal")


def occasion(
    host: str = "www.miniclip.com",
    path: str = "/games/8-ball-pool?from=start",
    identity: Identity = AMIR,
    reference: str = "0nk4x7a2k40001",
    at: float = NOW,
) -> Occasion:
    """An exchange; without a path it is a tunnel."""
    destination = Destination(Host(host), 80 if path else 443, "http" if path else "https", path)
    return Occasion(reference, at, "10.1.2.3", identity, destination, "3fa9c1d200aa")


def decision(
    effect: Effect = Effect.BLOCK,
    say: str = "Games open again after lessons.",
    category: str = "games",
    rule: str = "games wait until after lessons",
    location: str = "",
    warn_seconds: int = 0,
) -> Decision:
    """A decision of a rule."""
    reason = f"category {category}, group pupils, calendar lessons"
    place = Place("policy.yaml", 41, 5)
    return Decision(effect, rule, place, reason, say, category, location, warn_seconds)


def pages(site: Site = SITE) -> Pages:
    """The pages of the school."""
    return Pages(site, SIGNER.seal)


def portal(refusals: Refusals | None = None, site: Site = SITE, pac_uri: str = "") -> Portal:
    """The portal of the school."""
    refusals = Refusals() if refusals is None else refusals
    return Portal(
        pages(site),
        compile_pac(TABLE),
        refusals,
        SIGNER.seal,
        SIGNER.open,
        pac_uri=pac_uri,
    )


def past_refusals() -> Refusals:
    """What the school kept of one morning."""
    refusals = Refusals()
    for second in range(7):
        refusals.add(decision(), occasion(at=NOW - 600 + second, reference=f"0nk4x7a2k4000{second}"))
    refusals.add(
        decision(Effect.BLOCK, "", "tracking", "no trackers"),
        occasion("telemetry.ads.example", "", at=NOW - 300, reference="0nk4x7a2k40008"),
    )
    refusals.add(
        decision(
            Effect.WARN, "Please keep to the homework list during lessons.", "forums", "forums", "", 2700
        ),
        occasion("forum.chess.example", "", at=NOW - 60, reference="0nk4x7a2k40009"),
    )
    return refusals


def request(path: str = "/", method: str = "GET", language: bytes = b"en", **more: object) -> PortalRequest:
    """A request of Amir's browser on the forward port."""
    values: dict[str, object] = {
        "identity": AMIR,
        "client": "10.1.2.3",
        "via_proxy": True,
        "accept": b"text/html",
        "accept_language": language,
        "reference": "0nk4x7a2k40042",
        "now": NOW,
    }
    return PortalRequest(method=method, path=path, **(values | more))  # type: ignore[arg-type]


def every_page(language: str = "en") -> Iterator[tuple[str, Page]]:
    """One example of each page in HTML, named."""
    made, html, tongue = pages(), Audience(language, Media.HTML), language.encode()
    yield "blocked", made.refused(decision(), occasion(), html)
    yield "blocked-plain", made.refused(decision(say="", category=""), occasion(), html)
    long = occasion(f"{'very-long-label.' * 12}example.org", f"/{'deep/' * 60}end", Identity("x" * 200))
    yield "blocked-long", made.refused(decision(say="Long sentences wrap. " * 30), long, html)
    rtl = decision(say="האתר חסום בשעות הלימודים. פנו אל המורה.")
    yield "blocked-hebrew", made.refused(rtl, occasion(), html)
    warn = decision(Effect.WARN, "Gambling costs money, and time.", "gambling", "gambling with a warning")
    yield "warned", made.refused(warn, occasion("www.poker.example", "/tables", ANNA), html)
    redirect = decision(Effect.REDIRECT, location="https://search.hillside.example/")
    yield "redirected", made.refused(redirect, occasion(), html)
    yield "challenge", made.challenge("credentials-missing", occasion(), html, (b"Basic",))
    yield "challenge-wrong", made.challenge("credentials-wrong", occasion(), html, (b"Basic",))
    for code in ("name-unknown", "connect-timeout", "head-too-large", "records-full", "internal"):
        yield (
            code,
            made.failure(code, occasion("www.exmaple.org", "/"), html, detail="nothing listens at 192.0.2.1"),
        )
    yield "too-many", made.failure("too-many-connections", occasion(), html, retry_seconds=30)
    yield from _portal_pages(tongue)


def _portal_pages(language: bytes) -> Iterator[tuple[str, Page]]:
    mine = portal(past_refusals(), pac_uri="http://proxy.hillside.example:8080/proxy.pac")
    paths = {
        "start": "/",
        "why": "/why/0nk4x7a2k40009",
        "password": "/password",
        "setup": "/setup",
        "lost": "/x",
    }
    for name, path in paths.items():
        yield f"portal-{name}", _page(mine.answer(request(path, language=language)))
    yield "portal-start-empty", _page(portal().answer(request("/", language=language)))
    unknown = request("/", language=language, via_proxy=False, authority="proxy.hillside.example:8080")
    yield "portal-listener", _page(mine.answer(unknown))
    yield (
        "portal-password-refused",
        mine.password_refused(request(language=language), "The old one is wrong."),
    )
    yield "portal-password-changed", mine.password_changed(request(language=language))
    form = mine.answer(request("/why/0nk4x7a2k40009", language=language, accept=b"application/json"))
    held = holding_portal(*HOLDINGS)
    yield "portal-start-limits", held.start(request(language=language), DAYS)
    yield "portal-start-unread", held.start(request(language=language), None)
    spent = replace(decision(rule="films", category=""), spent=Spent("films", "30 min", NOW + 62_100), say="")
    yield "blocked-spent", pages().refused(spent, occasion(), Audience(language.decode(), Media.HTML))
    yield from _access_pages(language)
    yield from _more_pages(language)
    yield "portal-confirmed", mine.confirmed(request(language=language), confirmation(mine, _page(form)))


DAYS = tuple(
    DayUse(f"2026-11-{10 + number:02d}", octets << 18, octets << 20)
    for number, octets in enumerate((310, 480, 22, 0, 0, 512, 390, 700, 654, 120, 9, 0, 431, 266))
)
HOLDINGS = (
    Holding(
        Applied(
            Limit("pupils' day", quota=Quota(2 << 30, then=Then.SLOW, download=256 << 10, upload=256 << 10)),
            "amir",
            is_spent=True,
        ),
        Standing((2 << 30) + (512 << 20), (2 << 30) + (512 << 20), NOW + 62_100),
        since=NOW - 24_300,
    ),
    Holding(
        Applied(Limit("films", quota=Quota(minutes=30), say="Films are for later."), "amir", is_spent=True),
        Standing(30, 30, NOW + 62_100),
    ),
    Holding(Applied(Limit("class 9b", per=Per.GROUP, download=4 << 20), "9b"), until=NOW + 17_100),
    Holding(
        Applied(Limit("week", quota=Quota(10 << 30, every=Every.WEEK)), "amir"),
        Standing(3 << 30, 10 << 30, NOW + 500_000),
        since=NOW - 24_300,
    ),
)


def holding_portal(*holdings: Holding, **more: Any) -> Portal:
    """The portal of a school where people are held to limits, and see what they used."""
    return Portal(
        pages(), compile_pac(TABLE), past_refusals(), SIGNER.seal, SIGNER.open,
        holdings=lambda *asked: holdings, has_days=True, **more,
    )  # fmt: skip


BETH = Identity("beth", ("teachers",))
APPROVALS = Approvals([Approval(Who(group=("teachers",)), Who(group=("pupils",)), 7200.0)])
PEOPLE = People(
    IdentitySettings(
        groups={
            "pupils": ("amir", "dan", "eve"),
            "9b": ("amir", "dan", "carol"),
            "teachers": ("beth", "carol"),
        },
        networks=(NetworkIdentity("lab 1", (ip_network("10.1.2.0/24"),), "lab"),),
    )
)
PUPIL = Identity("amir", ("9b", "pupils"))
FORM = b"application/x-www-form-urlencoded"


def access_portal(access: Access, refusals: Refusals | None = None) -> Portal:
    """The portal of a school whose teachers let pupils through."""
    kept = Refusals() if refusals is None else refusals
    return Portal(pages(), compile_pac(TABLE), kept, SIGNER.seal, SIGNER.open, access=access)


def access(*requests: AccessRequest) -> Access:
    """What such a school knows, with these requests."""
    known = Access(APPROVALS, people_now=lambda: PEOPLE)
    for one in requests:
        known.requests.keep(one)
    return known


def access_request(**more: object) -> AccessRequest:
    """A request of Amir's for a site that needs another one."""
    values: dict[str, object] = {
        "id": "0nk4x7a2k40050",
        "who": "amir",
        "host": "www.chess.example",
        "rule": "games wait until after lessons",
        "uri": "http://www.chess.example/club",
        "at": NOW - 60,
        "reason": "Our club plays against the other school today.",
        "category": "games",
        "client": "10.1.2.3",
        "groups": PUPIL.groups,
        "also": (("cdn.chess.example.net", "no games"), ("fonts.example", "no games")),
    }
    return AccessRequest(**(values | more))  # type: ignore[arg-type]


def more_request(**more: object) -> AccessRequest:
    """A request of Amir's for more of a quota."""
    values: dict[str, object] = {
        "id": "0nk4x7a2k40070",
        "host": "",
        "rule": "",
        "uri": "",
        "reason": "A film about bees.",
        "category": "",
        "also": (),
        "limit": "films",
        "member": "amir",
    }
    return access_request(**(values | more))


def _more_pages(language: bytes) -> Iterator[tuple[str, Page]]:
    pupil = {"identity": PUPIL, "language": language}
    beth = {"identity": BETH, "language": language, "client": "10.1.9.9"}
    films = replace(HOLDINGS[1].applied.limit)
    standings = Standings()
    standings.take({("films", "amir"): Standing(30, 30, NOW + 62_100)})
    held = {"limits_now": lambda: Limits([films], standings=standings)}
    mine = holding_portal(*HOLDINGS, access=replace(access(), **held))
    start = mine.start(request(**pupil), DAYS)
    yield "more-start", start
    form = {"token": token_of(start, "/ask-more"), "reason": "A film about bees."}
    ask = mine.answer(sent("/ask-more", form, **pupil))
    assert isinstance(ask, Ask), ask
    yield "more-asked", mine.more.asked(request(**pupil), ask)
    asked = more_request()
    theirs = holding_portal(access=replace(access(asked), **held))
    one = _page(theirs.answer(request(f"/requests/{asked.id}", **beth)))
    yield "more-decide", one
    chosen = {"token": token_of(one, "/requests/more"), "amount": "15"}
    give = theirs.answer(sent("/requests/more", chosen, **beth))
    assert isinstance(give, GiveMore), give
    yield "more-given", theirs.more.given(request(**beth), give, is_there=True)
    yield "more-requests", _page(theirs.answer(request("/requests", **beth)))


def sent(path: str, fields: dict[str, str], **more: object) -> PortalRequest:
    """A form that a browser sends."""
    return request(path, "POST", content=urlencode(fields).encode(), content_type=FORM, **more)


def token_of(page: Page, action: str) -> str:
    """The token of the form with this action, of a page in HTML."""
    html = page.content.decode()
    found = re.search(rf'{action}"?>\s*<input type="?hidden"? name="?token"? value="([^"]+)"', html)
    assert found, html
    return found[1]


def _access_pages(language: bytes) -> Iterator[tuple[str, Page]]:
    pupil = {"identity": PUPIL, "language": language}
    beth = {"identity": BETH, "language": language, "client": "10.1.9.9"}
    asked = access_request()
    refused = access_request(
        id="0nk4x7a2k40051", host="play.example", state=State.REFUSED, by="beth", decided_at=NOW - 30,
        answer="Not before the lesson is over.",
    )  # fmt: skip
    let = access_request(
        id="0nk4x7a2k40052", host="maps.example", state=State.GRANTED, by="beth", decided_at=NOW - 9,
        until=NOW + 3600,
    )  # fmt: skip
    known = access(asked, refused, let)
    known.grants.add(
        Grant("group:9b", "maps.example", "no maps", NOW + 3600, "beth", "geography", "0nk4x7a2k40053")
    )
    blocked = replace(decision(), may_be_overridden=True)
    ask = pages().refused(
        blocked, occasion(identity=PUPIL), Audience(language.decode(), Media.HTML), may_ask=True
    )
    yield "blocked-may-ask", ask
    mine = access_portal(known)
    fields = {"token": token_of(ask, "/ask"), "reason": "We need it."}
    action = mine.answer(sent("/ask", fields, **pupil))
    assert isinstance(action, Ask), action
    yield "access-asked", mine.asking.asked(request(**pupil), action)
    yield "access-start", _page(mine.answer(request("/", **pupil)))
    yield "access-start-teacher", _page(mine.answer(request("/", **beth)))
    yield "access-requests", _page(mine.answer(request("/requests", **beth)))
    yield "access-requests-none", _page(access_portal(access()).answer(request("/requests", **beth)))
    one = _page(mine.answer(request(f"/requests/{asked.id}", **beth)))
    yield "access-decide", one
    chosen = {"token": token_of(one, "/requests/let"), "whom": "group:9b", "seconds": "3600", "hosts": "also"}
    yield "access-sure", _page(mine.answer(sent("/requests/let", chosen, **beth)))
    room = _page(mine.answer(sent("/requests/let", {**chosen, "whom": "network:lab 1"}, **beth)))
    yield "access-sure-room", room
    action = mine.answer(sent("/requests/let", {**chosen, "whom": "amir"}, **beth))
    assert isinstance(action, Let), action
    yield "access-given", mine.deciding.let_through(request(**beth), action)
    refusing = {"token": token_of(one, "/requests/refuse"), "answer": ""}
    no = mine.answer(sent("/requests/refuse", refusing, **beth))
    assert isinstance(no, Refuse), no
    yield "access-refused", mine.deciding.refused(request(**beth), no)
    listed = _page(mine.answer(request("/requests", **beth)))
    over = mine.answer(sent("/requests/end", {"token": token_of(listed, "/requests/end")}, **beth))
    assert isinstance(over, End), over
    yield "access-ended", mine.deciding.ended(request(**beth), over)
    unasked = {
        "token": token_of(listed, "/requests/new"), "host": "https://maps.example/world", "name": "amir",
        "why": "geography", "whom": "", "seconds": "1800",
    }  # fmt: skip
    single = mine.answer(sent("/requests/new", unasked, **beth))
    assert isinstance(single, Give), single
    yield "access-new", mine.deciding.let_through(request(**beth), single)
    yield (
        "access-new-many",
        _page(mine.answer(sent("/requests/new", {**unasked, "whom": "group:9b"}, **beth))),
    )
    yield "access-new-nobody", _page(mine.answer(sent("/requests/new", {**unasked, "name": "zoe"}, **beth)))
    yield "access-settled", _page(mine.answer(request(f"/requests/{refused.id}", **beth)))
    many = [access_request(id=f"0nk4x7a2k4006{n}", host=f"h{n}.example") for n in range(5)]
    full = access_portal(access(*many)).answer(sent("/ask", fields, **pupil))
    yield "access-too-many", _page(full)


def confirmation(mine: Portal, page: Page) -> ConfirmWarning:
    """Send the form of a page (as JSON) back to the portal."""
    import json

    token = json.loads(page.content)["form"]["fields"]["token"]
    sent = request(
        "/confirm",
        "POST",
        content=f"token={token}".encode(),
        content_type=b"application/x-www-form-urlencoded",
    )
    action = mine.answer(sent)
    assert isinstance(action, ConfirmWarning), action
    return action


def _page(answer: object) -> Page:
    assert isinstance(answer, Page), answer
    return answer


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for tongue in ("en", "fr", "de"):
        for title, page in every_page(tongue):
            policy = page.field(b"Content-Security-Policy").decode()
            meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            html = page.content.decode().replace("<head>", f"<head>\n{meta}", 1)
            (folder / f"{title}.{tongue}.html").write_text(html)
