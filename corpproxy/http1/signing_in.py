"""Signing in a connection rather than a request (RFC 4559, section 6, and NTLM)."""

from __future__ import annotations

from corpproxy.http1.fields import Fields

CONNECTION_SCHEMES = (b"ntlm", b"negotiate", b"nego2", b"kerberos")


def signs_in_connection(fields: Fields, name: bytes) -> bool:
    """Whether credentials or a challenge (``name`` is the field they stand in) are for a whole connection."""
    return name in fields.index and any(
        value.lower().startswith(CONNECTION_SCHEMES) for value in fields.all(name)
    )
