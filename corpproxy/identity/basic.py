"""
Basic authentication (RFC 7617): what a client sends in Proxy-Authorization, and what we ask with.

This is the one place where octets from a client become a name and a password.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field

from corpproxy.errors import CorpproxyError
from corpproxy.identity.names import has_control_characters, normal_name

# Name and password together, decoded.  Slow hashes cost time by length; nobody types more than this.
MAX_CREDENTIALS_OCTETS = 1024
_SCHEME = b"basic"


class BadCredentials(CorpproxyError):
    """What was sent as credentials cannot be read; the answer is a challenge (407) that says no more."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name in normal form and a password as text; the password never shows in a ``repr``."""

    name: str
    password: str = field(repr=False)


def parse_basic(value: bytes) -> Credentials:
    """
    Read the value of a Proxy-Authorization field.

    The text is UTF-8; what is not valid UTF-8 is taken as Latin-1, which older clients send whatever
    ``charset`` in the challenge asks for.  The base64 must be the canonical one.  Raises `BadCredentials`.
    """
    scheme, _, token = value.partition(b" ")
    if scheme.lower() != _SCHEME:
        raise BadCredentials("unknown-scheme", "the credentials are not of the scheme Basic")
    octets = _decoded(token.strip(b" "))
    name, colon, password = _text(octets).partition(":")
    if not colon:
        raise BadCredentials("no-colon", "the credentials have no colon between name and password")
    if not name or not password:
        raise BadCredentials("empty-credentials", "the name or the password is empty")
    if has_control_characters(name) or has_control_characters(password):
        raise BadCredentials("control-characters", "the name or the password has control characters")
    return Credentials(normal_name(name), normal_password(password))


def normal_password(written: str) -> str:
    """Give the form of a password that is hashed: NFC, as keyboards differ (RFC 8265, section 4.2)."""
    return normal_name(written)


def challenge(realm: str) -> bytes:
    """
    Give the value of a Proxy-Authenticate field that asks for Basic credentials in UTF-8.

    RFC 7617, section 2.1.  Raises ValueError for a realm with control characters: it would end the field.
    """
    if has_control_characters(realm):
        raise ValueError("the realm has control characters; write it as one line of text")
    quoted = realm.replace("\\", "\\\\").replace('"', '\\"')
    return f'Basic realm="{quoted}", charset="UTF-8"'.encode()


def _decoded(token: bytes) -> bytes:
    if len(token) > MAX_CREDENTIALS_OCTETS * 4 // 3 + 4:
        raise BadCredentials("credentials-too-long", f"they exceed {MAX_CREDENTIALS_OCTETS} octets")
    try:
        octets = binascii.a2b_base64(token, strict_mode=True)
    except binascii.Error:
        raise BadCredentials("bad-base64", "the credentials are not base64") from None
    # a2b_base64 ignores stray bits in the last group; two spellings of one password would be two memories.
    if binascii.b2a_base64(octets, newline=False) != token:
        raise BadCredentials("bad-base64", "the credentials are not canonical base64")
    return octets


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")
