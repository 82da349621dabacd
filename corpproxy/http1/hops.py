"""
Which fields are for one hop, which for everybody, and which may come behind the content.

A sender may name further hop-by-hop fields in Connection.  Some name what is for everybody, to make a proxy
take away what a server relies on.  Such names are ignored (``END_TO_END``).  They are not refused, because
servers of large sites do send ``Connection: Transfer-Encoding``.
"""

from __future__ import annotations

from corpproxy.http1.fields import Fields

# RFC 9110, section 7.6.1, and what else is between two hops.  Credentials and challenges for a proxy are
# consumed by the proxy they are for (section 11.7): ours never travel upstream, and a server has no
# business challenging for them.  HTTP2-Settings goes with Upgrade (RFC 7540, section 3.2.1).
HOP_BY_HOP = frozenset(
    b"connection proxy-connection keep-alive te upgrade http2-settings "
    b"proxy-authorization proxy-authenticate proxy-authentication-info".split()
)

# What Connection cannot take away: fields that frame, route, authorise, or say what the content is or who may
# use it, and those with which hops tell each other what they did.
END_TO_END = frozenset(
    b"host content-length transfer-encoding trailer "
    b"content-type content-encoding content-range content-location content-disposition "
    b"content-security-policy strict-transport-security x-content-type-options x-frame-options "
    b"authorization www-authenticate authentication-info cookie set-cookie origin referer "
    b"access-control-allow-origin access-control-allow-credentials "
    b"via forwarded x-forwarded-for x-forwarded-host x-forwarded-proto x-real-ip max-forwards expect "
    b"cache-control pragma age date expires etag last-modified vary location retry-after range "
    b"if-match if-none-match if-modified-since if-unmodified-since if-range".split()
)

# What tells where the client stands; taken out of what goes upstream unless the policy wants it told.
CLIENT_ADDRESS = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip"})

# RFC 9110, section 6.5.1: what must be known before the content cannot come behind it: framing, routing,
# authorisation, request modifiers, response control, content format.  ETag is the one that the RFC lets come
# late.
NOT_IN_TRAILERS = (HOP_BY_HOP | END_TO_END) - {b"etag"}

# What nearly every Connection field says; it names no field beyond HOP_BY_HOP.
_PLAIN_LINES = frozenset(
    b"%b: %b" % (name, option)
    for name in (b"Connection", b"connection")
    for option in (b"keep-alive", b"Keep-Alive", b"close", b"Close", b"Upgrade", b"upgrade")
)


def named_in_connection(fields: Fields, drop: frozenset[bytes]) -> frozenset[bytes]:
    """Add to ``drop`` the fields that Connection names, but for those that it cannot take away."""
    if fields.index[b"connection"] in _PLAIN_LINES and len(fields.index) == len(fields.names):
        return drop
    return drop.union(fields.tokens(b"connection")) - (END_TO_END - drop)


def forward_trailers(trailers: Fields) -> list[tuple[bytes, bytes]]:
    """The trailers that may travel on.  The others are dropped, as RFC 9110, section 6.5.1 allows."""
    if not trailers:
        return []
    pairs = zip(trailers.names, trailers, strict=True)
    return [pair for name, pair in pairs if name not in NOT_IN_TRAILERS]
