"""
What proves that a fetched list is what its publisher made: a checksum, or a signature.

A checksum that stands beside the list proves that nothing was damaged on the way, a signature also that
nobody put another list there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

_READ_OCTETS = 1024 * 1024

# Which digest it is follows from how many hexadecimal digits it has.
_ALGORITHMS = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}

# The two forms of coreutils (GNU, and BSD's with a tag), and a digest alone.
_GNU = re.compile(r"\\?([0-9a-fA-F]{32,128})(?:\s+\*?(.+))?")
_BSD = re.compile(r"(?:MD5|SHA[0-9]+)\s*\((.+)\)\s*=\s*([0-9a-fA-F]{32,128})")

# minisign and signify: two octets for the algorithm, eight for the number of the key, the signature.
_SIGNATURE_OCTETS = 74
_PLAIN, _HASHED = b"Ed", b"ED"


class NotProved(Exception):
    """A list is not what its publisher made; the text says why, in words for the administrator."""


def digest_of(path: Path, algorithm: str) -> str:
    """The digest of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def check_digest(path: Path, written: str) -> None:
    """Hold a file against a digest written as ``sha256:...``; raises NotProved."""
    algorithm, _, wanted = written.partition(":")
    _compare(path, algorithm, wanted)


def check_checksums(path: Path, checksums: bytes, url: str) -> None:
    """Hold a file that came from ``url`` against a file of checksums; raises NotProved."""
    algorithm, wanted = _wanted(checksums.decode("utf-8", "replace"), unquote(urlsplit(url).path))
    _compare(path, algorithm, wanted)


def _compare(path: Path, algorithm: str, wanted: str) -> None:
    found = digest_of(path, algorithm)
    if found != wanted.lower():
        said = f"its {algorithm} is {found} and should be {wanted.lower()}"
        raise NotProved(f"its checksum is wrong: {said}; it is damaged, or changed while it was fetched")


def _wanted(text: str, path: str) -> tuple[str, str]:
    """The algorithm and the digest of the file at a path: by its name, or the only one that there is."""
    found = list(_checksums(text))
    name = path.rpartition("/")[2]
    of_name = [digest for file, digest in found if file.rpartition("/")[2] == name]
    digests = of_name or [digest for file, digest in found if not file] or [one for _, one in found][:2]
    if not found:
        raise NotProved("what should be its checksum holds none")
    if len(set(digests)) != 1:
        raise NotProved(f"the file of checksums has none for '{name}', or several")
    algorithm = _ALGORITHMS.get(len(digests[0]))
    if algorithm is None:
        raise NotProved(f"a checksum of {len(digests[0])} digits is of no kind that is known")
    return algorithm, digests[0]


def _checksums(text: str) -> Iterator[tuple[str, str]]:
    for line in text.lstrip("\ufeff").splitlines():
        bare = line.strip()
        if match := _BSD.fullmatch(bare):
            yield match[1], match[2]
        elif match := _GNU.fullmatch(bare):
            yield (match[2] or "").strip(), match[1]


def check_signature(path: Path, signature: bytes, public_key: str) -> None:
    """Check the signature of a file by minisign or signify; raises NotProved."""
    key = base64.b64decode(public_key)
    made, trusted, whole = _signature(signature)
    if made[2:10] != key[2:10]:
        raise NotProved("it is signed by another key than the policy has for it")
    signed = path.read_bytes() if made[:2] == _PLAIN else _blake2b(path)
    _verify(key[10:], made[10:], signed, "its signature is wrong: it is not what its publisher signed")
    if whole:
        _verify(key[10:], whole, made[10:] + trusted, "the comment of its signature was changed")


def _blake2b(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, hashlib.blake2b).digest()


def _signature(text: bytes) -> tuple[bytes, bytes, bytes]:
    """The signature, and of minisign the trusted comment with the signature over both."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    try:
        made = base64.b64decode(lines[1], validate=True)
        if len(made) != _SIGNATURE_OCTETS or made[:2] not in (_PLAIN, _HASHED):
            raise ValueError
        if len(lines) < 4:
            # Only signify makes signatures without a trusted comment, and it never hashes first.
            if made[:2] == _HASHED:
                raise ValueError
            return made, b"", b""
        return made, lines[2].removeprefix(b"trusted comment: "), base64.b64decode(lines[3], validate=True)
    except (IndexError, ValueError, binascii.Error):
        raise NotProved("what should be its signature is none of minisign or signify") from None


def _verify(key: bytes, signature: bytes, signed: bytes, said: str) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise NotProved(said) from None
