"""The tables of lists that the service fetches itself: where from, and what holds an update back."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated
from urllib.parse import urlsplit

from corpproxy.config.schema.leaves import Leaf, Number, OneOrMany, Text, parsed, wrong
from corpproxy.config.schema.table import Table, as_in, listing, optional
from corpproxy.destination.fetching import Brake, Protected
from corpproxy.destination.host import normal_host
from corpproxy.errors import ProtocolError

_SHARE = re.compile(r"([0-9]{1,5})(?:\.([0-9]{1,4}))?\s?%")


def _share(written: str) -> float:
    match = _SHARE.fullmatch(written)
    if match is None:
        raise wrong("not-a-share", f"wants a share such as 25% or 0.1%, not '{written}'")
    return float(f"{match[1]}.{match[2] or 0}") / 100


def share_text(share: float) -> str:
    """A share as it is written in the policy."""
    return f"{share * 100:.4f}".rstrip("0").rstrip(".") + "%"


Share = Annotated[
    float, Leaf("share", _share, {"type": "string", "pattern": f"^{_SHARE.pattern}$"}, share_text)
]


def _url(written: str) -> str:
    if not written.isascii() or not written.isprintable() or " " in written:
        raise ValueError(f"'{written}' is no URL as it travels: write what is not ASCII, and spaces, as %XX")
    try:
        parts = urlsplit(written)
        port = parts.port
    except ValueError as error:
        # What stands behind a colon may be a password: the error would quote it.
        why = "; write a user and a password nowhere in it" if "@" in written else f": {error}"
        raise ValueError(f"'{written}' is no URL{why}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"'{written}' is no URL that can be fetched; write https://, a host and a path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a password would show it to everybody who reads the policy")
    try:
        normal_host(parts.hostname)
    except ProtocolError as error:
        raise ValueError(f"'{written}' has no usable host: {error.message}") from None
    return written.partition("#")[0]


ListUrl = Annotated[str, parsed("URL", _url, "bad-list-url")]

_DIGEST = re.compile(r"(sha256|sha512):([0-9a-f]+)", re.IGNORECASE)
_DIGITS = {"sha256": 64, "sha512": 128}


def _checksum(written: str) -> str:
    match = _DIGEST.fullmatch(written)
    if match is None:
        return _url(written)
    name, digits = match[1].lower(), match[2].lower()
    if len(digits) != _DIGITS[name]:
        raise ValueError(f"a {name} has {_DIGITS[name]} hexadecimal digits, not {len(digits)}")
    return f"{name}:{digits}"


Checksum = Annotated[str, parsed("URL, or sha256:...", _checksum, "bad-checksum")]

# Two octets that say Ed25519, eight that number the key, and the key.
_KEY_OCTETS = 42


def _public_key(written: str) -> str:
    try:
        octets = base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if len(octets) != _KEY_OCTETS or octets[:2] != b"Ed":
        raise ValueError(
            "the key is no public key of minisign or signify; it is the line of 56 characters that begins "
            "with RW in the file that ends in .pub"
        )
    return written


PublicKey = Annotated[str, parsed("key", _public_key, "bad-public-key")]


def _domain(written: str) -> str:
    try:
        return normal_host(written.removeprefix("*.").removeprefix(".")).name
    except ProtocolError as error:
        raise ValueError(f"'{written}' cannot be protected: {error.message}") from None


Domain = Annotated[str, parsed("name", _domain, "bad-host")]


class BrakeTable(Table):
    """What holds an update of a list back until somebody accepts it."""

    shrink: Share = as_in(
        Brake, "shrink", "It loses more than this share of its entries, or of a category's."
    )
    grow: Share = as_in(Brake, "grow", "It grows by more than this share.")
    blocks: Share = as_in(
        Brake, "blocks", "It would newly refuse more than this share of last week's exchanges."
    )
    people: Share = as_in(
        Brake, "people", "It would newly refuse something to more than this share of last week's people."
    )


class ProtectTable(Table):
    """Names that no update of a list may begin to refuse unless somebody accepts it."""

    domain: OneOrMany[Domain] = listing(
        "Names, each with all below it; those of ``pac: direct``, ``names: domains``, the portal and the "
        "contact's mail are protected anyway."
    )
    category: OneOrMany[Text] = listing(
        "Categories whose names are protected, as ``own`` or a list has them."
    )
    top_hosts: Number = as_in(
        Protected, "top_hosts", "So many of last month's most asked for hosts are protected."
    )


class FetchingTable(Table):
    """How lists are fetched."""

    proxy: ListUrl | None = optional("The proxy through which they are fetched, as ``http://10.0.0.1:3128``.")
    authorities: Text | None = optional(
        "A file of certificates (PEM) that servers are checked with, in the place of those of the system."
    )
