"""
Heads as they are sent on: what is for this hop stays here, the rest goes in its order, case and repetition.

Field lines travel as the octets that came.  Only what steers a message between two hops is written anew, at the
place where it stood: Host, and the field that frames the content.

A sender may name further hop-by-hop fields in Connection.  Some name what is for everybody, to make a proxy take
away what a server relies on.  Such names are ignored (``END_TO_END``): they are not refused, because
servers of large sites do send ``Connection: Transfer-Encoding``.
"""

from __future__ import annotations

from collections.abc import Iterable

from corpproxy.http1.fields import Fields, field_line, is_value
from corpproxy.http1.framing import NO_BODY, Body, Framing
from corpproxy.http1.head import RequestHead, ResponseHead
from corpproxy.http1.reasons import REASONS
from corpproxy.http1.refusals import refuse
from corpproxy.http1.target import Form, Target

# RFC 9110, section 7.6.1, and what else is between two hops.  Credentials and challenges for a proxy are consumed by
# the proxy they are for (section 11.7): ours never travel upstream, and a server has no business
# challenging for them.  HTTP2-Settings goes with Upgrade (RFC 7540, section 3.2.1).
HOP_BY_HOP = frozenset(
    b"connection proxy-connection keep-alive te upgrade http2-settings "
    b"proxy-authorization proxy-authenticate proxy-authentication-info".split()
)

# What Connection cannot take away: fields that frame, route, authorise, or say what the content is, and
# those with which hops tell each other what they did.
END_TO_END = frozenset(
    b"host content-length transfer-encoding trailer content-type content-encoding content-range content-location "
    b"content-disposition content-security-policy strict-transport-security "
    b"authorization www-authenticate authentication-info cookie set-cookie origin referer "
    b"access-control-allow-origin access-control-allow-credentials "
    b"via forwarded x-forwarded-for x-forwarded-host x-forwarded-proto max-forwards expect "
    b"cache-control pragma age date expires etag last-modified vary location retry-after range "
    b"if-match if-none-match if-modified-since if-unmodified-since if-range".split()
)

# Where the client stands; taken out of what goes upstream unless the policy wants it told.
CLIENT_ADDRESS = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip"})

# RFC 9110, section 6.5.1: fields that must be known before the content, so that nobody may take
# them from behind it: framing, routing, authorisation, request modifiers, response control, content format.
# ETag is the one that the RFC lets come late.
NOT_IN_TRAILERS = (HOP_BY_HOP | END_TO_END | CLIENT_ADDRESS) - {b"etag"}

DROPPED_FROM_ANSWERS = frozenset({b"alt-svc"})

_SAFE = frozenset(b"GET HEAD OPTIONS TRACE PROPFIND REPORT SEARCH QUERY PRI".split())
_IDEMPOTENT = _SAFE | frozenset(
    b"PUT DELETE ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY LABEL LINK MERGE MKACTIVITY MKCALENDAR MKCOL "
    b"MKREDIRECTREF MKWORKSPACE MOVE ORDERPATCH PROPPATCH REBIND UNBIND UNCHECKOUT UNLINK UPDATE "
    b"UPDATEREDIRECTREF VERSION-CONTROL".split()
)


def is_safe(method: bytes) -> bool:
    """Whether the method asks for nothing to change (RFC 9110, section 9.2.1, and the registry)."""
    return method in _SAFE


def is_idempotent(method: bytes) -> bool:
    """Whether twice has the effect of once (RFC 9110, section 9.2.2, and the registry)."""
    return method in _IDEMPOTENT


def upgrade_protocol(head: RequestHead | ResponseHead) -> bytes | None:
    """
    The protocols that the head asks (or agrees) to change to, as written in Upgrade but in lower case.

    None unless Connection names the field too and the version is 1.1 (RFC 9110, section 7.8).
    """
    if b"upgrade" not in head.fields.index or head.version < 11:
        return None
    if b"upgrade" not in head.fields.tokens(b"connection"):
        return None
    return b", ".join(head.fields.tokens(b"upgrade")) or None


def expects_continue(head: RequestHead) -> bool:
    """
    Whether the client waits for 100 (Continue) before it sends content (RFC 9110, section 10.1.1).

    ProtocolError (417) for any other expectation.  In HTTP/1.0 the field means nothing.
    """
    if b"expect" not in head.fields.index or head.version < 11:
        return False
    expectations = head.fields.tokens(b"expect")
    if any(expectation != b"100-continue" for expectation in expectations):
        raise refuse("unknown-expectation")
    return bool(expectations)


def max_forwards(head: RequestHead) -> int | None:
    """
    How many more hops a TRACE or OPTIONS may take, None for no limit and for other methods.

    At 0 the request is answered here and not forwarded (RFC 9110, section 7.6.2).
    """
    if b"max-forwards" not in head.fields.index or head.method not in (b"TRACE", b"OPTIONS"):
        return None
    values = head.fields.all(b"max-forwards")
    if len(values) != 1 or not 0 < len(values[0]) <= 9 or values[0].strip(b"0123456789"):
        raise refuse("bad-max-forwards")
    return int(values[0])


def forward_request(
    head: RequestHead,
    target: Target,
    *,
    host: bytes,
    form: Form = Form.ORIGIN,
    body: Body = NO_BODY,
    via: bytes | None = None,
    forwarded_for: bytes | None = None,
    upgrade: bool = False,
    keep: bool = True,
    max_forwards: int | None = None,
) -> bytes:
    """
    Write a request head for the next hop.

    ``host`` is the authority for Host, whatever the client wrote there.  ``form``: ORIGIN toward a server,
    ABSOLUTE toward a parent proxy.  ``body`` is how the content will be framed.  ``via`` is our pseudonym, None
    to add no Via.  ``forwarded_for`` is the client's address to add to X-Forwarded-For; with None all that
    tells of the client's address is taken out.  ``upgrade`` lets Upgrade through.  ``keep`` is False to
    have the connection closed after the answer.  ``max_forwards`` is the number that was received; one
    less is written.
    """
    fields = head.fields
    index = fields.index
    drop = _ANONYMOUS_DROP if forwarded_for is None else _REQUEST_DROP
    options = [] if keep else [b"close"]
    extra: list[bytes] = []
    edits = _framing_edits(index, body.framing, body.length)
    host_line = b"Host: " + host
    if index.get(b"host") != host_line:
        edits = {**(edits or {}), b"host": host_line}
    if max_forwards is not None:
        edits = {**(edits or {}), b"max-forwards": b"Max-Forwards: %d" % (max_forwards - 1)}
    if b"connection" in index:
        drop = _also_named(fields, drop)
        if b"te" in index and _wants_trailers(fields):
            extra.append(b"TE: trailers")
            options.append(b"TE")
    if upgrade and b"upgrade" in index:
        extra.append(b"Upgrade: " + b", ".join(fields.all(b"upgrade")))
        options.insert(0, b"Upgrade")
    if forwarded_for is not None:
        extra.append(b"X-Forwarded-For: " + b", ".join([*fields.all(b"x-forwarded-for"), forwarded_for]))
    lines = [_request_line(head.method, target, host, form)]
    if b"host" not in index:
        lines.append(host_line)
    _keep_lines(lines, fields, drop, edits)
    if body.framing is Framing.CHUNKED and b"transfer-encoding" not in index:
        extra.append(b"Transfer-Encoding: chunked")
    return _finish(lines, extra, options, via, head.version)


def forward_response(
    head: ResponseHead,
    *,
    framing: Framing,
    via: bytes | None = None,
    keep_alive: bool = True,
    upgrade: bool = False,
    drop: frozenset[bytes] = DROPPED_FROM_ANSWERS,
    client_version: int = 11,
    date: bytes | None = None,
) -> bytes:
    """
    Write a response head for the client.

    ``framing`` is how the content goes on (``framing_toward``); LENGTH is the length that came.  ``keep_alive``
    says whether the client may send another request; ``client_version`` how it must be told.
    ``upgrade`` lets Upgrade through, for 101 and 426.  ``drop`` names further fields that stay here.
    ``date`` is written where the server sent none (RFC 9110, section 6.6.1).

    ProtocolError for 407: it would make a client give its proxy password away to a page.
    """
    if head.status == 407:
        raise refuse("foreign-challenge")
    fields = head.fields
    index = fields.index
    drop = _RESPONSE_DROP if drop is DROPPED_FROM_ANSWERS else drop | HOP_BY_HOP
    if b"connection" in index:
        drop = _also_named(fields, drop)
    if head.status < 200 or head.status == 204:
        drop = drop | _FRAMING_FIELDS  # RFC 9110, section 8.6; RFC 9112, section 6.1
        edits = None
    else:
        length = fields.get(b"content-length")
        edits = _framing_edits(index, framing, int(length) if length else None)
    options = [] if keep_alive or head.is_interim else [b"close"]
    extra: list[bytes] = []
    if upgrade and b"upgrade" in index:
        extra.append(b"Upgrade: " + b", ".join(fields.all(b"upgrade")))
        options.insert(0, b"Upgrade")
    if not options and client_version < 11:
        options.append(b"keep-alive")
    if framing is Framing.CHUNKED and b"transfer-encoding" not in index:
        extra.append(b"Transfer-Encoding: chunked")
    if date is not None and b"date" not in index and not head.is_interim:
        extra.append(b"Date: " + date)
    lines = [b"HTTP/1.1 %d %b" % (head.status, head.reason)]
    _keep_lines(lines, fields, drop, edits)
    return _finish(lines, extra, options, via, head.version)


def forward_trailers(trailers: Fields) -> list[tuple[bytes, bytes]]:
    """The trailers that may travel on: those that RFC 9110, section 6.5.1 forbids stay here."""
    if not trailers:
        return []
    pairs = zip(trailers.names, trailers, strict=True)
    return [pair for name, pair in pairs if name not in NOT_IN_TRAILERS]


def answer_head(
    status: int,
    fields: Iterable[tuple[bytes, bytes]],
    *,
    date: bytes | None = None,
    keep_alive: bool = True,
    client_version: int = 11,
    reason: bytes | None = None,
) -> bytes:
    """
    Write the head of an answer of our own.

    ``fields`` must hold what frames the content.  ``date`` is an IMF-fixdate for Date.  ValueError
    for a field or a reason that would break the head, whatever text it was made of.
    """
    if reason is None:
        reason = REASONS.get(status, b"")
    if not is_value(reason):
        raise ValueError(f"not a reason: {reason!r}")
    lines = [b"HTTP/1.1 %d %b" % (status, reason)]
    if date is not None:
        lines.append(field_line(b"Date", date))
    lines.extend(field_line(name, value) for name, value in fields)
    if not keep_alive:
        lines.append(b"Connection: close")
    elif client_version < 11 and status >= 200:
        lines.append(b"Connection: keep-alive")
    return b"\r\n".join(lines) + b"\r\n\r\n"


_FRAMING_FIELDS = frozenset({b"content-length", b"transfer-encoding"})
_REQUEST_DROP = HOP_BY_HOP | {b"x-forwarded-for"}  # written anew, with one address more
_ANONYMOUS_DROP = HOP_BY_HOP | CLIENT_ADDRESS
_RESPONSE_DROP = HOP_BY_HOP | DROPPED_FROM_ANSWERS
# What nearly every Connection field says; it names no field.
_PLAIN_CONNECTION = frozenset({b"keep-alive", b"Keep-Alive", b"close", b"Close", b"Upgrade", b"upgrade"})
# A line to be left out although its name is not dropped.
_GONE = b""


def _request_line(method: bytes, target: Target, host: bytes, form: Form) -> bytes:
    path = target.path
    if form is Form.ABSOLUTE:
        # RFC 9112, section 3.2.4: toward a proxy, OPTIONS * is written without a path.
        path = b"%b://%b%b" % (target.scheme.encode("ascii"), host, b"" if path == b"*" else path)
    return b"%b %b HTTP/1.1" % (method, path)


def _also_named(fields: Fields, drop: frozenset[bytes]) -> frozenset[bytes]:
    """Add the fields that Connection names, but for those it cannot take away."""
    if fields.get(b"connection") in _PLAIN_CONNECTION and fields.names.count(b"connection") == 1:
        return drop
    return drop.union(fields.tokens(b"connection")) - (END_TO_END - drop)


def _wants_trailers(fields: Fields) -> bool:
    """Whether TE says so and Connection names it, as it must (RFC 9110, section 10.1.4)."""
    return b"trailers" in fields.tokens(b"te") and b"te" in fields.tokens(b"connection")


def _framing_edits(
    index: dict[bytes, bytes], framing: Framing, length: int | None
) -> dict[bytes, bytes] | None:
    """
    The lines that stand in place of Content-Length and Transfer-Encoding, None where nothing changes.

    They are written from what was understood, so that the next hop reads no spelling that we read otherwise.
    """
    edits = {}
    coding = index.get(b"transfer-encoding")
    if coding is not None:
        edits[b"transfer-encoding"] = b"Transfer-Encoding: chunked" if framing is Framing.CHUNKED else _GONE
    written = index.get(b"content-length")
    if written is not None:
        if framing is Framing.CHUNKED or framing is Framing.CLOSE:
            edits[b"content-length"] = _GONE
        else:
            line = b"Content-Length: %d" % (length or 0)
            if line != written:
                edits[b"content-length"] = line
    return edits or None


def _keep_lines(
    lines: list[bytes], fields: Fields, drop: frozenset[bytes], edits: dict[bytes, bytes] | None
) -> None:
    """Add the lines that travel on, each as it came or as it was written anew."""
    pairs = zip(fields.names, fields.lines, strict=True)
    if edits is None:
        lines += [line for name, line in pairs if name not in drop]
    else:
        kept = [edits.get(name, line) for name, line in pairs if name not in drop]
        lines += [line for line in kept if line is not _GONE]


def _finish(
    lines: list[bytes], extra: list[bytes], options: list[bytes], via: bytes | None, version: int
) -> bytes:
    lines += extra
    if via is not None:
        # RFC 9110, section 7.6.3: the version is that of the message we received.
        lines.append(b"Via: 1.%d %b" % (version - 10, via))
    if options:
        lines.append(b"Connection: " + b", ".join(options))
    lines.append(b"\r\n")
    return b"\r\n".join(lines)
