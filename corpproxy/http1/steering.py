"""
What a head asks of the hops it passes: Upgrade, Expect, Max-Forwards (RFC 9110, sections 7.6, 7.8, 10.1.1).
"""

from __future__ import annotations

from corpproxy import twins
from corpproxy.http1.head import RequestHead, ResponseHead
from corpproxy.http1.refusals import refuse
from corpproxy.http1.signing_in import signs_in_connection

_DIGITS = b"0123456789"
# What makes a request other than the plain ones that browsers send all day.
_STEERING = frozenset(b"content-length transfer-encoding expect upgrade te max-forwards".split())
_PLAINLY_ALIVE = (b"Connection: keep-alive", b"Connection: Keep-Alive")
_PLAINLY_CLOSING = (b"Connection: close", b"Connection: Close")
_PLAIN_CONNECTION = frozenset({None, *_PLAINLY_ALIVE, *_PLAINLY_CLOSING})
# For ``native/section.c``, which does not read schemes.
_NEVER_PLAIN = (*_STEERING, b"authorization")
# No road has a thousand million hops; this only keeps numbers small.
_MAX_FORWARDS_DIGITS = 9


def is_plain(head: RequestHead) -> bool:
    """
    Whether a request asks nothing of the hops but to be passed on: HTTP/1.1, no content, a connection that
    nobody signs in, no wish to change the protocol.

    Whether the connection stays is in the outline then: see its ``closes``.  What this asks of the fields is
    asked once for all heads with the same section.
    """
    outline = head.fields.outline
    plain = outline.is_plain
    if plain is None and twins.section is not None:
        section = head.fields.section
        surely: int = twins.section.is_plain(section, _NEVER_PLAIN, _PLAINLY_ALIVE, _PLAINLY_CLOSING)
        # What it does not say for sure is worked out below.
        if surely:
            plain = outline.is_plain = True
            outline.closes = surely == twins.section.CLOSES
    if plain is None:
        index = head.fields.index
        connection = index.get(b"connection")
        plain = outline.is_plain = (
            _STEERING.isdisjoint(index)
            and connection in _PLAIN_CONNECTION
            and len(index) == len(head.fields.names)
            and not signs_in_connection(head.fields, b"authorization")
        )
        outline.closes = plain and connection in _PLAINLY_CLOSING
    return plain and head.version == 11


def upgrade_protocol(head: RequestHead | ResponseHead) -> bytes | None:
    """
    The protocols that the head asks (or agrees) to change to, as written in Upgrade but in lower case.

    None unless Connection names the field too and the version is 1.1 (RFC 9110, section 7.8).
    """
    fields = head.fields
    if fields.outline.is_plain:
        return None  # its names were looked at
    if b"upgrade" not in fields.index or head.version < 11:
        return None
    if b"upgrade" not in fields.tokens(b"connection"):
        return None
    return b", ".join(fields.tokens(b"upgrade")) or None


def expects_continue(head: RequestHead) -> bool:
    """
    Whether the client waits for 100 (Continue) before it sends content (RFC 9110, section 10.1.1).

    ProtocolError (417) for any other expectation.  In HTTP/1.0 the field means nothing.
    """
    if head.fields.outline.is_plain:
        return False  # its names were looked at
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
    if head.method not in (b"TRACE", b"OPTIONS") or b"max-forwards" not in head.fields.index:
        return None
    values = head.fields.all(b"max-forwards")
    if len(values) != 1 or not 0 < len(values[0]) <= _MAX_FORWARDS_DIGITS or values[0].strip(_DIGITS):
        raise refuse("bad-max-forwards")
    return int(values[0])
