"""
Checkpoints: signed statements of how far each chain of records is.

A checkpoint is one line of JSON.  It names the ends of the chains, the segments that retention deleted since
the last one, and the hash of the checkpoint before it; an Ed25519 signature covers all octets before its own
member.  Whoever keeps one elsewhere can show later that the record was cut, even to somebody who holds the
key.
"""

from __future__ import annotations

import re
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from corpproxy.audit.proof import Dropped, End

FORMAT = 1
NONE_BEFORE = "0" * 64

_SIGNATURE = b',"signature":"'
_SIGNED = re.compile(rb'([0-9a-f]{128})"\}')


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, tag_field="v", tag=FORMAT):
    """
    One checkpoint.

    ``number`` counts from 1, ``at`` is as in records.  ``before`` is the hash of the line of the checkpoint
    before, in hex, without its line end.  ``key`` is the fingerprint of the key, see `fingerprint`.
    """

    number: int
    at: str
    chains: tuple[End, ...]
    dropped: tuple[Dropped, ...] = ()
    before: str = NONE_BEFORE
    key: str = ""
    signature: str = ""


class BadCheckpoint(Exception):
    """A line is no checkpoint, or not signed by this key."""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Checkpoint)


def fingerprint(key: Ed25519PublicKey) -> str:
    """Give the SHA-256 hash of the 32 octets of a public key, in hex."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def line_hash(line: bytes) -> str:
    """Give the hash by which the next checkpoint names this one."""
    return sha256(line.rstrip(b"\n")).hexdigest()


def signed(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> bytes:
    """Write a checkpoint as its line, with its line end, signed."""
    made = msgspec.structs.replace(checkpoint, key=fingerprint(key.public_key()), signature="")
    covered = _ENCODER.encode(made).partition(_SIGNATURE)[0]
    return covered + _SIGNATURE + key.sign(covered).hex().encode() + b'"}\n'


def read_checkpoint(line: bytes) -> Checkpoint:
    """
    Read a checkpoint, signed by whomever.

    :raises BadCheckpoint: when it is none.
    """
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadCheckpoint(f"it is no checkpoint: {error}") from error


def check_signature(line: bytes, key: Ed25519PublicKey) -> None:
    """
    Check that a key signed a line.

    :raises BadCheckpoint: when it did not.
    """
    covered, _, rest = line.rstrip(b"\n").partition(_SIGNATURE)
    signature = _SIGNED.fullmatch(rest)
    try:
        if signature is None:
            raise BadCheckpoint("it has no signature")
        key.verify(bytes.fromhex(signature[1].decode()), covered)
    except InvalidSignature as error:
        raise BadCheckpoint("its signature is not of this key") from error
