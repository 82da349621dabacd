"""What we answer ourselves: the portal, and requests whose hops end here (TRACE, OPTIONS)."""

from __future__ import annotations

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.commands import (
    ChangePassword,
    EndGrant,
    GrantQuota,
    ReadContent,
    ReadDays,
    RecordDeed,
    Respond,
    SaveGrant,
    SaveRequest,
)
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.exchange.identify import unavailable
from corpproxy.exchange.refusal import SignInUnavailable
from corpproxy.http1.answer import answer_head
from corpproxy.http1.steering import max_forwards
from corpproxy.pages import portal
from corpproxy.pages.actions import Ask, DeskAction, End, Give, GiveMore, Let
from corpproxy.pages.forms import MAX_FORM_OCTETS
from corpproxy.pages.page import Page
from corpproxy.pages.portal import PortalRequest

PAC_PATHS = frozenset({"/proxy.pac", "/wpad.dat"})

# Fields that a TRACE must not send back: a script could read credentials in them (RFC 9110, section 9.3.8).
_SECRET = frozenset({b"authorization", b"proxy-authorization", b"cookie"})

# What a proxy does with OPTIONS that ends here: it says which methods it takes.  All are taken.
_OPTIONS = Page(204, ((b"Allow", b"GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE"),), b"")


async def answer_portal(exchange: Exchange) -> ResultCode:
    """Answer a request to the portal, after doing what its form asks for."""
    if exchange.destination is not None and exchange.destination.path == "*":
        await Respond(_OPTIONS)
        return ResultCode.ANSWERED
    request = await _request(exchange)
    page = exchange.in_force.portal.answer(request)
    if not isinstance(page, Page):
        page = await _perform(exchange, request, page)
    await Respond(page)
    return ResultCode.PAC if request.path in PAC_PATHS and page.status < 400 else ResultCode.PORTAL


def ends_here(exchange: Exchange) -> bool:
    """Whether Max-Forwards says that the request goes no further (RFC 9110, section 7.6.2)."""
    return max_forwards(exchange.head) == 0


async def answer_probe(exchange: Exchange) -> ResultCode:
    """Answer a TRACE or OPTIONS that ends here."""
    if exchange.method == b"OPTIONS":
        await Respond(_OPTIONS)
    else:
        await Respond(Page(200, ((b"Content-Type", b"message/http"),), _traced(exchange)))
    return ResultCode.ANSWERED


def _traced(exchange: Exchange) -> bytes:
    head = exchange.head
    pairs = [(name, value) for name, value in head.fields if name.lower() not in _SECRET]
    line = b"%b %b HTTP/1.%d" % (head.method, head.target, head.version - 10)
    fields = answer_head(200, pairs).partition(b"\r\n")[2]
    return line + b"\r\n" + fields


async def _request(exchange: Exchange) -> PortalRequest:
    assert exchange.destination is not None
    fields = exchange.head.fields
    content = await ReadContent(MAX_FORM_OCTETS)
    return PortalRequest(
        method=exchange.method.decode("latin-1"),
        path=exchange.destination.path.partition("?")[0],
        now=exchange.started,
        reference=exchange.reference,
        identity=exchange.identity,
        client=exchange.client,
        listener=exchange.listener,
        via_proxy=exchange.mode is Mode.FORWARD,
        content=content,
        content_type=fields.get(b"content-type"),
        accept=fields.get(b"accept"),
        accept_language=fields.get(b"accept-language"),
        if_none_match=fields.get(b"if-none-match"),
        authority=exchange.target.authority.decode("latin-1"),
    )


async def _at_the_desk(pages: portal.Portal, request: PortalRequest, action: DeskAction) -> Page:
    """Do what was asked for at the desk: the record first, which says who did it."""
    if isinstance(action, GiveMore):
        return await _give_more(pages, request, action)
    desk = pages.deciding
    await RecordDeed(action.deed)
    if isinstance(action, End):
        await EndGrant(action.grant.id)
        return desk.ended(request, action)
    if isinstance(action, Give):
        await SaveGrant(action.grant)
        return desk.let_through(request, action)
    if isinstance(action, Let):
        await SaveGrant(action.grant)
    await SaveRequest(action.request)
    if isinstance(action, Ask):
        return (pages.more if action.request.limit else pages.asking).asked(request, action)
    return desk.let_through(request, action) if isinstance(action, Let) else desk.refused(request, action)


async def _give_more(pages: portal.Portal, request: PortalRequest, action: GiveMore) -> Page:
    """Give more of a quota, if there still is one: what was not given is not recorded as given."""
    is_there = await GrantQuota(action.limit, action.whom, action.more)
    if is_there:
        await RecordDeed(action.deed)
        await SaveRequest(action.request)
    return pages.more.given(request, action, is_there=is_there)


async def _perform(exchange: Exchange, request: PortalRequest, action: portal.Action) -> Page:
    pages = exchange.in_force.portal
    if isinstance(action, portal.ConfirmWarning):
        await SaveGrant(action.grant)
        return pages.confirmed(request, action)
    if isinstance(action, portal.ReadDays):
        return pages.start(request, await ReadDays(action.user))
    if not isinstance(action, portal.ChangePassword):
        return await _at_the_desk(pages, request, action)
    try:
        reason = await ChangePassword(action.name, action.old, action.new)
    except SignInUnavailable as down:
        raise unavailable(exchange, down) from down
    return pages.password_refused(request, reason) if reason else pages.password_changed(request)
