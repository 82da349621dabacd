"""
Signed forms: what a page puts into a hidden field, so that only the person it was shown to can send it back.

A form carries its purpose, its values and its end, with an HMAC-SHA256 over all of it.  The page puts the
identity and the client address among the values, and whoever takes the form compares them: a form that
another page tricks a browser into sending is then of no use, as nobody else can make one for this person.
"""

from __future__ import annotations

import binascii
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

from corpproxy.errors import CorpproxyError

MIN_KEY_OCTETS = 16
# A form names a host, a rule and a person; what is longer was not made here.
MAX_TOKEN_CHARACTERS = 8192


class BadForm(CorpproxyError):
    """A form that is not taken: its code is ``form-forged`` or ``form-expired``."""


class Signer:
    """Seals and unseals forms with one secret key, which lives as long as forms should."""

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_OCTETS:
            raise ValueError(f"the key has {len(key)} octets; give at least {MIN_KEY_OCTETS}")
        self._key = key

    def seal(self, purpose: str, values: Mapping[str, str], until: float) -> str:
        """Give a token in the alphabet of URLs that opens to ``values`` until then (POSIX seconds)."""
        written = json.dumps([until, dict(values)], separators=(",", ":"))
        content = urlsafe_b64encode(written.encode()).rstrip(b"=").decode()
        return f"{content}.{self._mark(purpose, content)}"

    def open(self, purpose: str, token: str, now: float) -> dict[str, str]:
        """Give the values of a token sealed for ``purpose``, or raise `BadForm`."""
        content, _, mark = token.partition(".")
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise BadForm("form-forged", "the form was not made here")
        if not hmac.compare_digest(mark, self._mark(purpose, content)):
            raise BadForm("form-forged", "the form was not made here, or for another purpose, or was changed")
        until, values = _content(content)
        if now >= until:
            raise BadForm("form-expired", "the form is too old; open the page again")
        return values

    # For the pure packages, where a call named ``open`` is taken for that of a file.
    unseal = open

    def _mark(self, purpose: str, content: str) -> str:
        # The purpose has its length before it, so that no purpose and content run into another pair.
        written = purpose.encode()
        signed = len(written).to_bytes(4, "big") + written + content.encode()
        return urlsafe_b64encode(hmac.digest(self._key, signed, "sha256")).rstrip(b"=").decode()


def _content(content: str) -> tuple[float, dict[str, str]]:
    try:
        until, values = json.loads(urlsafe_b64decode(content + "=" * (-len(content) % 4)))
        return float(until), {str(key): str(value) for key, value in values.items()}
    except (ValueError, TypeError, AttributeError, binascii.Error):
        raise BadForm("form-forged", "the form cannot be read") from None
