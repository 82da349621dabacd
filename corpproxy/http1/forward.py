"""
Heads as they are sent on: what is for this hop stays here, the rest goes in its order, case and repetition.

Field lines travel as the octets that came.  Only what steers a message between two hops is written anew, at
the place where it stood: Host, and the field that frames the content.  They are written from what was
understood, so that the next hop meets no spelling that it could understand otherwise.
"""

from __future__ import annotations

from corpproxy import twins
from corpproxy.http1.answer import answer_head
from corpproxy.http1.fields import Fields
from corpproxy.http1.framing import NO_BODY, Body, Framing
from corpproxy.http1.head import RequestHead, ResponseHead
from corpproxy.http1.hops import CLIENT_ADDRESS, HOP_BY_HOP, forward_trailers, named_in_connection
from corpproxy.http1.methods import is_idempotent, is_safe
from corpproxy.http1.reasons import REASONS
from corpproxy.http1.recipe import Recipe, recipe_of
from corpproxy.http1.refusals import refuse
from corpproxy.http1.steering import expects_continue, max_forwards, upgrade_protocol
from corpproxy.http1.target import Form, Target

# The rest of the package that the road uses when it sends heads on, under one roof.
__all__ = [
    "DROPPED_FROM_ANSWERS",
    "REASONS",
    "answer_head",
    "expects_continue",
    "forward_request",
    "forward_response",
    "forward_trailers",
    "is_idempotent",
    "is_safe",
    "max_forwards",
    "upgrade_protocol",
]

# Alt-Svc leads browsers to the server over UDP, past the proxy.
DROPPED_FROM_ANSWERS = frozenset({b"alt-svc"})

_REQUEST_DROP = HOP_BY_HOP | {b"x-forwarded-for"}  # written anew, with one address more
_ANONYMOUS_DROP = HOP_BY_HOP | CLIENT_ADDRESS
_ANONYMOUS_DROP_NAMES = tuple(_ANONYMOUS_DROP)
_RESPONSE_DROP = HOP_BY_HOP | DROPPED_FROM_ANSWERS
_FRAMING_FIELDS = frozenset({b"content-length", b"transfer-encoding"})
_CHUNKED_LINE = b"Transfer-Encoding: chunked"
# Stands for a line that is left out although its name is not dropped.
_GONE = b""

_Edits = dict[bytes, bytes]


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
    ABSOLUTE (or AUTHORITY, for CONNECT) toward a parent proxy.  ``body`` is how the content will be framed.
    ``via`` is our pseudonym, None to add no Via.  ``forwarded_for`` is the client's address to add to
    X-Forwarded-For; with None all that tells of the client's address is taken out.  ``upgrade`` lets Upgrade
    through.  ``keep`` is False to have the connection closed after the answer.  ``max_forwards`` is the
    number that was received, above 0; one less is written.
    """
    line = _request_line(head.method, target, host, form)
    if body is not NO_BODY or max_forwards is not None:
        return line + _request_fields(head, host, body, via, forwarded_for, upgrade, keep, max_forwards)
    notes = head.fields.outline.notes
    key = (head.version, host, via, forwarded_for, upgrade, keep)
    recipe: Recipe | bool = notes.get(key, False)
    if isinstance(recipe, Recipe):
        return line + recipe.write(head.fields.section)
    if twins.section is not None and head.fields.outline.is_plain and forwarded_for is None and keep:
        written = _plain_fields(head, host, via)
    else:
        written = _request_fields(head, host, body, via, forwarded_for, upgrade, keep, max_forwards)
    # True for one that came once: most of those come no more, and a recipe costs as much as writing.
    head.fields.outline.note(key, recipe_of(head.fields, written) if recipe else True)
    return line + written


def recipe_for(
    head: RequestHead, *, host: bytes, via: bytes | None, forwarded_for: bytes | None, upgrade: bool
) -> Recipe | None:
    """What `forward_request` writes the fields of such a head by, once it has written them twice."""
    recipe = head.fields.outline.notes.get((head.version, host, via, forwarded_for, upgrade, True))
    return recipe if isinstance(recipe, Recipe) else None


def _plain_fields(head: RequestHead, host: bytes, via: bytes | None) -> bytes:
    """
    Write what `_request_fields` does, of a head that is plain (`corpproxy.http1.steering.is_plain`).

    Nothing frames content in it, no name is repeated, and Connection names nothing.
    """
    assert twins.section is not None
    written: bytes = twins.section.forward(
        b"", b"", head.fields.section, _ANONYMOUS_DROP_NAMES, host, via, head.version
    )
    return written


def forward_plain(head: RequestHead, path: bytes, host: bytes, via: bytes | None) -> bytes | None:
    """
    Write what `forward_request` writes of a plain head, for a server that is told nothing of the client.

    None where that is to write it.  Nothing is noted of the section: most of those that are plain come once.
    """
    if twins.section is None or not head.fields.outline.is_plain:
        return None
    written: bytes = twins.section.forward(
        head.method, path, head.fields.section, _ANONYMOUS_DROP_NAMES, host, via, head.version
    )
    return written


def _request_fields(
    head: RequestHead,
    host: bytes,
    body: Body,
    via: bytes | None,
    forwarded_for: bytes | None,
    upgrade: bool,
    keep: bool,
    max_forwards: int | None,
) -> bytes:
    """Write all that follows the request line."""
    fields = head.fields
    index = fields.index
    drop = _ANONYMOUS_DROP if forwarded_for is None else _REQUEST_DROP
    extra: list[bytes] = []
    options: list[bytes] = []
    if b"connection" in index:
        drop = named_in_connection(fields, drop)
        if upgrade:
            _upgrade(fields, extra, options)
        if b"te" in index:
            _accept_trailers(fields, extra, options)
    if head.version < 11:
        drop = drop | {
            b"expect"
        }  # RFC 9110, section 10.1.1: means nothing in 1.0, would mean something in 1.1
    if forwarded_for is not None:
        extra.append(b"X-Forwarded-For: " + b", ".join([*fields.all(b"x-forwarded-for"), forwarded_for]))
    if not keep:
        options.append(b"close")
    lines = [b""]
    host_line = b"Host: " + host
    if b"host" not in index:
        lines.append(host_line)
    edits = _frame(index, body.framing, body.length, extra)
    if index.get(b"host") != host_line:
        edits[b"host"] = host_line
    if max_forwards is not None:
        edits[b"max-forwards"] = _one_less(max_forwards)
    _keep_lines(lines, fields, drop, edits)
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

    ``framing`` is how the content goes on (``framing_toward``); LENGTH is the length that came, CLOSE ends
    the connection whatever ``keep_alive`` says.  ``keep_alive`` says whether the client may send another
    request, ``client_version`` how it must be told.  ``upgrade`` lets Upgrade through, for 101 and 426.
    ``drop`` names further fields that stay here.  ``date`` is written where the server sent none (RFC 9110,
    section 6.6.1).

    ProtocolError for 407: it would make a browser ask for, or give, the password to the proxy.
    """
    if head.status == 407:
        raise refuse("foreign-challenge")
    line = b"HTTP/1.1 %d %b" % (head.status, head.reason)
    notes = head.fields.outline.notes
    if upgrade or date is not None or drop is not DROPPED_FROM_ANSWERS:
        return line + _response_fields(head, framing, via, keep_alive, upgrade, drop, client_version, date)
    # The value of an enum's member is quicker to look up than the member.
    key = (head.status, head.version, framing._value_, via, keep_alive, client_version)
    written: bytes | None = notes.get(key)
    if written is None:
        written = _response_fields(head, framing, via, keep_alive, False, drop, client_version, None)
        head.fields.outline.note(key, written)
    return line + written


def _response_fields(
    head: ResponseHead,
    framing: Framing,
    via: bytes | None,
    keep_alive: bool,
    upgrade: bool,
    drop: frozenset[bytes],
    client_version: int,
    date: bytes | None,
) -> bytes:
    """Write all that follows the status line."""
    fields = head.fields
    index = fields.index
    extra: list[bytes] = []
    options: list[bytes] = []
    drop = _RESPONSE_DROP if drop is DROPPED_FROM_ANSWERS else drop | HOP_BY_HOP
    if b"connection" in index:
        drop = named_in_connection(fields, drop)
    if upgrade:
        _upgrade(fields, extra, options)
    edits: _Edits = {}
    if head.status < 200 or head.status == 204:
        drop = drop | _FRAMING_FIELDS  # RFC 9110, section 8.6; RFC 9112, section 6.1
    elif not _is_framed_plainly(index, framing):
        length = fields.get(b"content-length")
        edits = _frame(index, framing, int(length) if length else None, extra)
    if not head.is_interim:
        if not keep_alive or framing is Framing.CLOSE:
            options.append(b"close")
        elif client_version < 11:
            options.append(b"keep-alive")
        if date is not None and b"date" not in index:
            extra.append(b"Date: " + date)
    lines = [b""]
    _keep_lines(lines, fields, drop, edits)
    return _finish(lines, extra, options, via, head.version)


def _is_framed_plainly(index: dict[bytes, bytes], framing: Framing) -> bool:
    """Whether the framing fields can travel as they came: one length, written as we would write it."""
    if b"transfer-encoding" in index or framing is Framing.CHUNKED or framing is Framing.CLOSE:
        return False
    line = index.get(b"content-length")
    return line is None or (line[:16] == b"Content-Length: " and line[16:17] > b"0" and line[-1:] >= b"0")


def _request_line(method: bytes, target: Target, host: bytes, form: Form) -> bytes:
    path = target.path
    if form is Form.ABSOLUTE:
        # RFC 9112, section 3.2.4: toward a proxy, OPTIONS * is written without a path.
        path = b"%b://%b%b" % (target.scheme.encode("ascii"), host, b"" if path == b"*" else path)
    elif form is Form.AUTHORITY:
        path = host
    return b"%b %b HTTP/1.1" % (method, path)


def _upgrade(fields: Fields, extra: list[bytes], options: list[bytes]) -> None:
    protocols = fields.all(b"upgrade")
    if protocols:
        extra.append(b"Upgrade: " + b", ".join(protocols))
        options.append(b"Upgrade")


def _accept_trailers(fields: Fields, extra: list[bytes], options: list[bytes]) -> None:
    """Pass on that trailers are welcome, where Connection names TE as it must (RFC 9110, section 10.1.4)."""
    if b"trailers" in fields.tokens(b"te") and b"te" in fields.tokens(b"connection"):
        extra.append(b"TE: trailers")
        options.append(b"TE")


def _frame(index: dict[bytes, bytes], framing: Framing, length: int | None, extra: list[bytes]) -> _Edits:
    """Give the lines that stand in place of Content-Length and Transfer-Encoding; add one that is missing."""
    edits: _Edits = {}
    coding = index.get(b"transfer-encoding")
    if coding is not None:
        edits[b"transfer-encoding"] = _CHUNKED_LINE if framing is Framing.CHUNKED else _GONE
    elif framing is Framing.CHUNKED:
        extra.append(_CHUNKED_LINE)
    written = index.get(b"content-length")
    if written is not None:
        if framing is Framing.CHUNKED or framing is Framing.CLOSE:
            edits[b"content-length"] = _GONE
        else:
            line = b"Content-Length: %d" % (length or 0)
            if line != written:
                edits[b"content-length"] = line
    return edits


def _one_less(received: int) -> bytes:
    if received < 1:
        raise ValueError("Max-Forwards: 0 is answered here, not forwarded")
    return b"Max-Forwards: %d" % (received - 1)


def _keep_lines(lines: list[bytes], fields: Fields, drop: frozenset[bytes], edits: _Edits) -> None:
    """Add the lines that travel on, each as it came or as it was written anew."""
    pairs = zip(fields.names, fields.lines, strict=True)
    if not edits:
        if not drop.isdisjoint(fields.index):
            lines += [line for name, line in pairs if name not in drop]
        else:
            lines += fields.lines
        return
    kept = [edits.get(name, line) for name, line in pairs if name not in drop]
    lines += [line for line in kept if line is not _GONE]


def _finish(
    lines: list[bytes], extra: list[bytes], options: list[bytes], via: bytes | None, version: int
) -> bytes:
    if extra:
        lines += extra
    if via is not None:
        # RFC 9110, section 7.6.3: the version is that of the message we received.
        lines.append(b"Via: 1.%d %b" % (version - 10, via))
    if options:
        lines.append(b"Connection: " + b", ".join(options))
    lines.append(b"\r\n")
    return b"\r\n".join(lines)
