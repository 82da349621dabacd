"""What methods promise: those of RFC 9110, section 9, and of the registry.  Any token is a method."""

from __future__ import annotations

_SAFE = frozenset(b"GET HEAD OPTIONS TRACE PROPFIND REPORT SEARCH QUERY PRI".split())
_IDEMPOTENT = _SAFE | frozenset(
    b"PUT DELETE ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY LABEL LINK MERGE MKACTIVITY MKCALENDAR "
    b"MKCOL MKREDIRECTREF MKWORKSPACE MOVE ORDERPATCH PROPPATCH REBIND UNBIND UNCHECKOUT UNLINK UPDATE "
    b"UPDATEREDIRECTREF VERSION-CONTROL".split()
)


def is_safe(method: bytes) -> bool:
    """Whether the method asks for nothing to change (RFC 9110, section 9.2.1)."""
    return method in _SAFE


def is_idempotent(method: bytes) -> bool:
    """Whether twice has the effect of once (RFC 9110, section 9.2.2)."""
    return method in _IDEMPOTENT
