"""Heads, exchanges and what is in force, with sensible defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from corpproxy.assembly import reads_addresses
from corpproxy.audit.settings import AuditSettings
from corpproxy.destination.classifier import Classifier
from corpproxy.errors import Place
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.exchange.in_force import InForce
from corpproxy.exchange.limits import ConnectionLimits, Forwarding, Timeouts
from corpproxy.http1.framing import request_body
from corpproxy.http1.head import RequestHead, RequestReader, ResponseHead, ResponseReader
from corpproxy.http1.limits import Limits
from corpproxy.identity.grants import Grants
from corpproxy.identity.model import Identity
from corpproxy.identity.people import People
from corpproxy.identity.requests import Requests
from corpproxy.identity.settings import IdentitySettings
from corpproxy.pages.pac import compile_pac
from corpproxy.pages.portal import Portal
from corpproxy.pages.refusals import Refusals
from corpproxy.pages.render import Pages
from corpproxy.policy.approvals import Approvals
from corpproxy.policy.conditions import What, Who
from corpproxy.policy.decide import Policy
from corpproxy.policy.exempt import Exemption, Exemptions
from corpproxy.policy.limits import Limit
from corpproxy.policy.limits import Limits as Limiting
from corpproxy.policy.model import Effect, Safety
from corpproxy.policy.rules import Rule
from corpproxy.policy.safe_search import SafeSearch
from tests.pages.samples import SIGNER, SITE, TABLE

# A Monday morning in term; the clock of a test counts from here.
MONDAY = 1_795_430_700.0
CLIENT = "10.1.2.3"
SAFETY = Safety(place=Place("policy.yaml", 3, 1))
BASIC = b"Basic YW1pcjpzZWNyZXQ="
AMIR = Identity("amir", ("pupils",))


@lru_cache(maxsize=1)
def _pages() -> Pages:
    """The pages of the school: made once, for reading their templates takes longer than a test."""
    return Pages(SITE, SIGNER.seal)


def rule(name: str, effect: Effect, *, who: Who | None = None, what: What | None = None, **more: Any) -> Rule:
    """A rule of the policy."""
    place = Place("policy.yaml", 10, 5)
    return Rule(name, effect, who=who or Who(), what=what or What(), place=place, **more)


def domain(*names: str) -> What:
    """These domains are asked for."""
    return What(domain=names)


ALLOW = rule("everything else", Effect.ALLOW)


def in_force(
    *rules: Rule,
    safety: Safety = SAFETY,
    sign_in: bool = False,
    known: Mapping[bytes, Identity] | None = None,
    identity: IdentitySettings | None = None,
    own: Mapping[str, tuple[str, ...]] | None = None,
    safe_search: SafeSearch | None = None,
    limits: Limits | None = None,
    connections: ConnectionLimits | None = None,
    timeouts: Timeouts | None = None,
    forwarding: Forwarding | None = None,
    exempt: Sequence[Exemption] = (),
    limiting: Sequence[Limit] = (),
) -> InForce:
    """What is in force: these rules before one that allows, nobody signs in, default limits."""
    pages, refusals, remembered = _pages(), Refusals(), known or {}
    exemptions = Exemptions(exempt)
    policy, forwarding = Policy([*rules, ALLOW], safety), forwarding or Forwarding()
    return InForce(
        version="3fa9c1d200aa",
        lists=("ut1=2026-11-01",),
        site=SITE,
        classifier=Classifier(None, own or {}),
        people=People(identity or IdentitySettings()),
        policy=policy,
        approvals=Approvals(),
        needs_addresses=reads_addresses(policy),
        needs_networks="addresses" in policy.reads,
        needs_agent="agent" in policy.reads | exemptions.reads,
        needs_answer="answer" in policy.reads,
        safe_search=safe_search or SafeSearch(),
        challenges=(b'Basic realm="Hillside", charset="UTF-8"',) if sign_in else (),
        recall=lambda value, now: remembered.get(value),
        recognise=lambda value: lambda now: remembered.get(value),
        grants=Grants(),
        requests=Requests(),
        refusals=refusals,
        pages=pages,
        portal=Portal(pages, compile_pac(TABLE), refusals, SIGNER.seal, SIGNER.open),
        limits=limits or Limits(),
        connections=connections or ConnectionLimits(),
        timeouts=timeouts or Timeouts(),
        forwarding=forwarding,
        via=forwarding.via.encode() or None,
        audit=AuditSettings(),
        exemptions=exemptions,
        limiting=Limiting(limiting) if limiting else None,
    )


def request(
    method: bytes = b"GET",
    target: bytes = b"http://www.example.com/",
    *fields: bytes,
    version: bytes = b"1.1",
    host: bytes | None = None,
    content: bytes = b"",
) -> bytes:
    """A request on the wire; ``fields`` are lines, Host is made from the target."""
    lines = [b"%b %b HTTP/%b" % (method, target, version)]
    if host is None:
        host = target.partition(b"://")[2].partition(b"/")[0] or target
    if host and host[:1] != b"/":
        lines.append(b"Host: " + host)
    lines += fields
    if content and not any(line.lower().startswith(b"transfer-encoding") for line in fields):
        lines.append(b"Content-Length: %d" % len(content))
    return b"\r\n".join([*lines, b"", content])


def request_head(*parts: Any, **more: Any) -> RequestHead:
    """The head of such a request, read."""
    head = RequestReader().feed(request(*parts, **more))
    assert head is not None
    return head


def response(
    status: int = 200, *fields: bytes, content: bytes = b"", version: bytes = b"1.1", framed: bool = True
) -> bytes:
    """A response on the wire, framed by its length unless it shall not be."""
    lines = [b"HTTP/%b %d Reason" % (version, status), *fields]
    if framed:
        lines.append(b"Content-Length: %d" % len(content))
    return b"\r\n".join([*lines, b"", content])


def response_head(*parts: Any, **more: Any) -> ResponseHead:
    """The head of such a response, read."""
    head = ResponseReader().feed(response(*parts, **more))
    assert head is not None
    return head


def exchange(head: RequestHead | None = None, mode: Mode = Mode.FORWARD, **more: Any) -> Exchange:
    """An exchange that begins with a head; what else is given goes to `in_force`."""
    now = more.pop("force", None) or in_force(*more.pop("rules", ()), **more)
    begun = Exchange(now, mode, "rooms", CLIENT, MONDAY, "0nk4x7a2k40001")
    begun.head = head or request_head()
    begun.fields = begun.head.fields
    begun.method = begun.head.method
    begun.body = request_body(begun.head, now.limits)
    begun.content_over = begun.body.length is None and begun.body.framing.value == "none"
    begun.keep = True
    return begun
