"""
Password hashes: argon2id written by us, and what htpasswd files bring along.

Everything here blocks for its cost on purpose, so that it runs in a thread.  A hash also says
how dear it is; one line of a file must not be able to stop the service, so that cost has a bound too.
"""

from __future__ import annotations

import binascii
import enum
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence

import argon2
import bcrypt
from passlib.hash import apr_md5_crypt, sha256_crypt, sha512_crypt

from corpproxy import twins
from corpproxy.identity.basic import normal_password

# OWASP's smallest recommendation for argon2id: 30 ms of one core and 19 MiB while it runs.
ARGON2_MEMORY_KIB = 19 * 1024
ARGON2_PASSES = 2
ARGON2_LANES = 1

# The dearest hashes that are checked; each is about a second of one core.
MAX_ARGON2_MEMORY_KIB = 256 * 1024
MAX_ARGON2_WORK_KIB = 1024 * 1024  # memory times passes
MAX_ARGON2_LANES = 16
MAX_BCRYPT_COST = 14
MAX_SHA_CRYPT_ROUNDS = 1_000_000

# bcrypt reads no further; other implementations cut the rest off silently, ours raises.
BCRYPT_OCTETS = 72

# What is longer goes to passlib, which refuses it in its own words.
MAX_COMPILED_OCTETS = 4096

# What the compiled part takes at once.  A character may become many octets in normal form: what is longer
# than anybody types is checked alone.
MOST_TOGETHER = twins.apr1.MOST if twins.apr1 is not None else 1
MAX_TOGETHER_CHARACTERS = 64

# No characters that look alike on paper: passwords that are made here are copied from paper.
_GENERATED_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GENERATED_GROUPS = 3
_GENERATED_GROUP_CHARACTERS = 4

# Nobody's password: what an unknown name is checked against where no file says what a check costs.
DECOY = "$argon2id$v=19$m=19456,t=2,p=1$UBv+JzfAkggndVvT8sPTYA$kQNLji6xQHNS6iiw9CBpxiYoKRyxTC3fgG14/AzJdo0"

_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?m=([0-9]{1,9}),t=([0-9]{1,9}),p=([0-9]{1,4})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,172}"
)
# The last character of the salt carries two bits only.
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_ROUNDS = r"(?:rounds=([1-9][0-9]{0,8})\$)?"
_SHA_CRYPT = re.compile(
    rf"\$(?:5\${_ROUNDS}[./A-Za-z0-9]{{1,16}}\$[./A-Za-z0-9]{{43}}"
    rf"|6\${_ROUNDS}[./A-Za-z0-9]{{1,16}}\$[./A-Za-z0-9]{{86}})"
)
_APR1 = re.compile(r"\$apr1\$[./A-Za-z0-9]{1,8}\$[./A-Za-z0-9]{22}")
_SHA1 = re.compile(r"\{SHA\}([A-Za-z0-9+/]{27}=)")
_DES_SHAPE = re.compile(r"[./A-Za-z0-9]{13}")
_CRYPT_SHAPE = re.compile(r"\$([0-9a-z]{1,10})\$|\{([A-Za-z0-9.-]{1,20})\}")

_hasher = argon2.PasswordHasher(
    time_cost=ARGON2_PASSES, memory_cost=ARGON2_MEMORY_KIB, parallelism=ARGON2_LANES
)


class Scheme(enum.StrEnum):
    """The kinds of hash that are checked."""

    ARGON2 = "argon2"
    BCRYPT = "bcrypt"
    SHA_CRYPT = "SHA-crypt"
    APR1 = "apr1"
    SHA1 = "{SHA}"


class BadHash(ValueError):
    """A hash that is not checked; the message says why, and never shows what stands there."""


def hash_password(password: str) -> str:
    """Give an argon2id hash of ``password``; takes 30 ms."""
    return _hasher.hash(normal_password(password))


def generate_password() -> str:
    """Give a password of 59 bits that can be read aloud."""
    groups = (
        "".join(secrets.choice(_GENERATED_ALPHABET) for _ in range(_GENERATED_GROUP_CHARACTERS))
        for _ in range(_GENERATED_GROUPS)
    )
    return "-".join(groups)


def scheme_of(written: str) -> Scheme:
    """Say what kind of hash this is, or raise `BadHash` for one that is not checked."""
    if found := _ARGON2.fullmatch(written):
        _require_argon2(*map(int, found.groups()))
        return Scheme.ARGON2
    if found := _BCRYPT.fullmatch(written):
        _require(int(found[1]) <= MAX_BCRYPT_COST, f"a bcrypt cost above {MAX_BCRYPT_COST} takes too long")
        _require(int(found[1]) >= 4, "a bcrypt cost below 4 does not exist")
        return Scheme.BCRYPT
    if found := _SHA_CRYPT.fullmatch(written):
        _require_rounds(int(found[1] or found[2] or 5000))
        return Scheme.SHA_CRYPT
    if _APR1.fullmatch(written):
        return Scheme.APR1
    if _SHA1.fullmatch(written):
        return Scheme.SHA1
    raise BadHash(_why_not(written))


def verify(password: str, written: str) -> bool:
    """Whether ``password`` belongs to the hash; raises `BadHash` for one that is not checked."""
    scheme = scheme_of(written)
    if "\0" in password:
        return False
    octets = _octets_of(password)
    try:
        return _VERIFIERS[scheme](octets, written)
    except (ValueError, argon2.exceptions.Argon2Error) as error:
        raise BadHash(f"the {scheme} hash is damaged") from error


def may_go_together(password: str, written: str) -> bool:
    """Whether `verify_together` takes this password: several of that kind are checked in the time of two."""
    return (
        twins.apr1 is not None
        and _APR1.fullmatch(written) is not None
        and "\0" not in password
        and len(password) <= MAX_TOGETHER_CHARACTERS
    )


def verify_together(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether each of up to `MOST_TOGETHER` passwords belongs to its hash; see `may_go_together`."""
    return _compare_apr1([(_octets_of(password), written) for password, written in pairs])


def _octets_of(password: str) -> bytes:
    return normal_password(password).encode("utf-8", "surrogatepass")


def _verify_argon2(octets: bytes, written: str) -> bool:
    try:
        return _hasher.verify(written, octets)
    except argon2.exceptions.VerifyMismatchError:
        return False


def _verify_bcrypt(octets: bytes, written: str) -> bool:
    return bcrypt.checkpw(octets[:BCRYPT_OCTETS], written.encode())


def _verify_sha_crypt(octets: bytes, written: str) -> bool:
    scheme = sha256_crypt if written.startswith("$5$") else sha512_crypt
    return bool(scheme.verify(octets, written))


def _verify_apr1(octets: bytes, written: str) -> bool:
    """``native/apr1.c`` is made after passlib, and takes a third of its time."""
    if twins.apr1 is None or len(octets) > MAX_COMPILED_OCTETS:
        return bool(apr_md5_crypt.verify(octets, written))
    return _compare_apr1([(octets, written)])[0]


def _compare_apr1(pairs: Sequence[tuple[bytes, str]]) -> list[bool]:
    """Whether each of up to `MOST_TOGETHER` passwords belongs to its hash, by the compiled part."""
    assert twins.apr1 is not None
    parts = [written.split("$") for _, written in pairs]
    made: list[str] = twins.apr1.apr1(
        [(octets, salt.encode()) for (octets, _), (_, _, salt, _) in zip(pairs, parts, strict=True)]
    )
    return [hmac.compare_digest(one, digest) for one, (_, _, _, digest) in zip(made, parts, strict=True)]


def _verify_sha1(octets: bytes, written: str) -> bool:
    digest = binascii.b2a_base64(hashlib.sha1(octets, usedforsecurity=False).digest(), newline=False)
    return hmac.compare_digest(b"{SHA}" + digest, written.encode())


_VERIFIERS = {
    Scheme.ARGON2: _verify_argon2,
    Scheme.BCRYPT: _verify_bcrypt,
    Scheme.SHA_CRYPT: _verify_sha_crypt,
    Scheme.APR1: _verify_apr1,
    Scheme.SHA1: _verify_sha1,
}


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BadHash(otherwise)


def _require_argon2(memory_kib: int, passes: int, lanes: int) -> None:
    _require(lanes > 0 and passes > 0 and memory_kib >= 8 * lanes, "the argon2 hash is damaged")
    _require(
        memory_kib <= MAX_ARGON2_MEMORY_KIB
        and memory_kib * passes <= MAX_ARGON2_WORK_KIB
        and lanes <= MAX_ARGON2_LANES,
        "the argon2 hash takes too much memory or time",
    )


def _require_rounds(rounds: int) -> None:
    _require(rounds >= 1000, "SHA-crypt with fewer than 1000 rounds does not exist")
    _require(
        rounds <= MAX_SHA_CRYPT_ROUNDS, f"more than {MAX_SHA_CRYPT_ROUNDS} SHA-crypt rounds take too long"
    )


def _why_not(written: str) -> str:
    known = _CRYPT_SHAPE.match(written)
    kind = (known[1] or known[2]) if known else ""
    if kind in {"argon2id", "argon2i", "argon2d", "2a", "2b", "2y", "5", "6", "apr1", "SHA"}:
        return f"the hash of kind {kind} is damaged"
    if kind:
        return f"hashes of kind {kind} are not checked"
    if _DES_SHAPE.fullmatch(written):
        return "it is DES crypt, which anybody can break, or plain text"
    return "it is plain text, which is never taken"
