"""
Sealing: what one person's key opens, and what two people's keys open together.

A box is for one key (X25519): an ephemeral key agrees with it on a key of its own (HKDF with SHA-256), which
encrypts with ChaCha20-Poly1305, as age does it.  A secret that two of several keepers are to open together is
split for each pair of them: one half is random, the other is the secret combined with it (exclusive or), and
each half is in a box for its keeper.  One half alone says nothing at all of the secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import combinations

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY_OCTETS = 32

_INFO = b"corpproxy box 1"
# A key encrypts once, so that the nonce need not differ.
_NONCE = bytes(12)
# Boxes are as long as these many octets, or twice that: the length should not tell the name.
_STEP = 64

# Gives so many random octets.
Random = Callable[[int], bytes]


class CannotOpen(Exception):
    """A box is not for this key, or was changed; or two keys that belong together are not there."""


class Half(msgspec.Struct, frozen=True):
    """One half of a secret, in a box, in hex; ``keeper`` opens it, ``other`` has the other half."""

    keeper: str
    other: str
    box: str


def raw(key: X25519PublicKey) -> bytes:
    """The 32 octets of a public key."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def fingerprint(key: X25519PublicKey) -> str:
    """A short name of a public key that no other has."""
    return sha256(raw(key)).hexdigest()[:32]


def new_key(random: Random) -> X25519PrivateKey:
    """Make a private key."""
    return X25519PrivateKey.from_private_bytes(random(KEY_OCTETS))


def seal(content: bytes, key: X25519PublicKey, random: Random) -> bytes:
    """Put octets into a box for a key."""
    ephemeral = new_key(random)
    mine = raw(ephemeral.public_key())
    cipher = _cipher(ephemeral.exchange(key), mine, raw(key))
    return mine + cipher.encrypt(_NONCE, _padded(content), None)


def unseal(box: bytes, key: X25519PrivateKey) -> bytes:
    """
    Open a box.

    :raises CannotOpen: when it is not for this key, or was changed.
    """
    theirs = box[:KEY_OCTETS]
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(theirs))
        content = _cipher(shared, theirs, raw(key.public_key())).decrypt(_NONCE, box[KEY_OCTETS:], None)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen("it is not for this key, or was changed") from error
    return content[2 : 2 + int.from_bytes(content[:2], "big")]


def split(secret: bytes, keepers: Sequence[X25519PublicKey], random: Random) -> Iterator[Half]:
    """Split a secret so that any two of some keepers open it together, and none alone."""
    for one, other in combinations(keepers, 2):
        pad = random(len(secret))
        for half, keeper, beside in ((pad, one, other), (_combined(pad, secret), other, one)):
            box = seal(half, keeper, random).hex()
            yield Half(fingerprint(keeper), fingerprint(beside), box)


def joined(halves: Sequence[Half], keys: Sequence[X25519PrivateKey]) -> bytes:
    """
    Give a secret that was split, with the keys of two keepers.

    :raises CannotOpen: when no two of the keys belong to a pair.
    """
    mine: Mapping[str, X25519PrivateKey] = {fingerprint(key.public_key()): key for key in keys}
    opened = {
        (half.keeper, half.other): unseal(bytes.fromhex(half.box), mine[half.keeper])
        for half in halves
        if half.keeper in mine and half.other in mine
    }
    for (keeper, other), half in opened.items():
        if (other, keeper) in opened:
            return _combined(half, opened[other, keeper])
    raise CannotOpen("it takes the keys of two of its keepers")


def _cipher(shared: bytes, ephemeral: bytes, recipient: bytes) -> ChaCha20Poly1305:
    derived = HKDF(algorithm=SHA256(), length=KEY_OCTETS, salt=ephemeral + recipient, info=_INFO)
    return ChaCha20Poly1305(derived.derive(shared))


def _padded(content: bytes) -> bytes:
    framed = len(content).to_bytes(2, "big") + content
    return framed + bytes(-len(framed) % _STEP)


def _combined(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
