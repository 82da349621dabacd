"""Where the content of a message ends, and whether the connection lives on (RFC 9112, sections 6 and 9.3)."""

from __future__ import annotations

import enum
from typing import NamedTuple

from corpproxy.http1.fields import Fields, is_token
from corpproxy.http1.head import RequestHead, ResponseHead
from corpproxy.http1.limits import DEFAULT_LIMITS, Limits
from corpproxy.http1.refusals import refuse
from corpproxy.http1.signing_in import signs_in_connection


class Framing(enum.Enum):
    """How the end of the content is known: there is none, by length, by chunks, by the connection's end."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class Body(NamedTuple):
    """How one message is framed; ``length`` in octets, for ``LENGTH`` only (0 is ``NONE`` already)."""

    framing: Framing
    length: int | None = None


NO_BODY = Body(Framing.NONE)
CHUNKED_BODY = Body(Framing.CHUNKED)
CLOSE_BODY = Body(Framing.CLOSE)

# The field as nearly everybody writes it.
_PLAINLY_ALIVE = frozenset({b"Connection: keep-alive", b"Connection: Keep-Alive"})

# Above 10**18 octets no length means anything, and other programs' integers begin to overflow.
_LENGTH_DIGITS = 18
_DIGITS = b"0123456789"


def request_body(head: RequestHead, limits: Limits = DEFAULT_LIMITS) -> Body:
    """
    Say how the content of a request is framed.

    ProtocolError for everything that RFC 9112, section 6.3 calls invalid: both fields, several or odd
    lengths, codings but chunked; also for CONNECT or TRACE with content and for content past the limit (413).
    After any of these the connection must be closed: nobody knows where the next request begins.
    """
    index = head.fields.index
    if b"content-length" not in index and b"transfer-encoding" not in index:
        return NO_BODY
    body = _body(head.fields, head.version)
    if body is not NO_BODY and head.method in (b"CONNECT", b"TRACE"):
        raise refuse("connect-with-content" if head.method == b"CONNECT" else "trace-with-content")
    if limits.content_octets and (body.length or 0) > limits.content_octets:
        raise refuse("content-too-large", f"{body.length} octets, the limit is {limits.content_octets}")
    return body


class AnswerFraming(NamedTuple):
    """
    How the content of an answer is framed, whether the connection lives on after it, and whether it asks to
    sign in the whole connection.
    """

    body: Body
    keeps_alive: bool
    challenges: bool


def answer_framing(head: ResponseHead, request_method: bytes) -> AnswerFraming:
    """Say it of an answer to that method, once for all with the same status and section."""
    notes = head.fields.outline.notes
    key = (head.status, head.version, request_method)
    known: AnswerFraming | None = notes.get(key)
    if known is None:
        body = response_body(head, request_method)
        lives = body.framing is not Framing.CLOSE and head.status != 101 and keeps_alive(head)
        known = AnswerFraming(body, lives, signs_in_connection(head.fields, b"www-authenticate"))
        head.fields.outline.note(key, known)
    return known


def response_body(head: ResponseHead, request_method: bytes) -> Body:
    """
    Say how the content of a response to that method is framed.

    Answers to HEAD, and 1xx, 204, 304, have none whatever their fields say; after 2xx to CONNECT and after
    101 comes no content but another protocol.  The framing fields must be sound all the same.
    """
    status = head.status
    if request_method == b"CONNECT" and 200 <= status < 300:
        return NO_BODY  # RFC 9110, section 9.3.6: the fields are ignored
    index = head.fields.index
    if b"content-length" in index or b"transfer-encoding" in index:
        body = _body(head.fields, head.version)
    else:
        body = CLOSE_BODY
    if request_method == b"HEAD" or status < 200 or status in (204, 304):
        return NO_BODY
    return body


def framing_toward(body: Body, version: int) -> Body:
    """
    Say how content that came in one framing goes on to a client that speaks ``version``.

    HTTP/1.0 knows no chunks: the end of the connection ends them.  Content that the server ended by closing
    goes to HTTP/1.1 in chunks, so that the client's connection lives, and sees a truncation.
    """
    if body is CHUNKED_BODY and version < 11:
        return CLOSE_BODY
    if body is CLOSE_BODY and version >= 11:
        return CHUNKED_BODY
    return body


def keeps_alive(head: RequestHead | ResponseHead, *, as_proxy: bool = True) -> bool:
    """
    Say whether the connection may serve another exchange after this message (RFC 9112, section 9.3).

    A proxy must not keep a connection with an HTTP/1.0 client (its ``Connection`` may come from a hop
    before that passed it on blindly); ``as_proxy`` is False where we are the server itself.  A response
    that is framed by the connection's end closes it whatever this says.
    """
    fields = head.fields
    if b"connection" not in fields.index:
        return head.version >= 11
    if (
        head.version >= 11
        and fields.index[b"connection"] in _PLAINLY_ALIVE
        and len(fields.index) == len(fields)
    ):
        return True
    options = fields.tokens(b"connection")
    if head.version >= 11 or b"close" in options:
        return b"close" not in options
    return b"keep-alive" in options and (not as_proxy or isinstance(head, ResponseHead))


def _body(fields: Fields, version: int) -> Body:
    """What Content-Length and Transfer-Encoding, of which at least one is there, say together."""
    if b"transfer-encoding" not in fields.index:
        names = fields.names
        if len(fields.index) == len(names):
            value = fields.index[b"content-length"][15:].strip(b" \t")
        else:
            value = _only(fields.all(b"content-length"))
        length = _content_length(value)
        return Body(Framing.LENGTH, length) if length else NO_BODY
    # RFC 9112, section 6.1: a message with both smells of smuggling; in 1.0 the coding is faulty framing.
    if version < 11:
        raise refuse("coding-in-http-1-0")
    if b"content-length" in fields.index:
        raise refuse("length-and-coding")
    _check_coding(fields.all(b"transfer-encoding"))
    return CHUNKED_BODY


def _only(values: list[bytes]) -> bytes:
    if len(values) > 1:
        raise refuse("many-lengths")
    return values[0]


def _content_length(value: bytes) -> int:
    if not value or len(value) > _LENGTH_DIGITS or value.strip(_DIGITS):
        # RFC 9112, section 6.3 lets "5, 5" be read as 5.  Who sends it has a broken hop before us; refuse.
        raise refuse("many-lengths" if b"," in value else "bad-length")
    return int(value)


def _check_coding(values: list[bytes]) -> None:
    """
    Let only ``chunked`` pass, alone; tell an unknown coding (501) from a list that frames nothing (400).
    """
    if len(values) == 1 and values[0].lower() == b"chunked":
        return
    codings = [coding.strip(b" \t").lower() for coding in b",".join(values).split(b",")]
    if b"chunked" in codings[:-1] or not all(is_token(coding) for coding in codings):
        raise refuse("bad-coding")
    raise refuse("unknown-coding")
