"""
Header sections that came before: a memory of what was found out about them, never of their octets.

A browser sends the same section with all the pictures of a page, and a program with all its requests.  Two
heads with the same octets after their start-line have the same fields, so what is known of the first holds
for the second.

Requests carry passwords and cookies.  Their sections are therefore known by a keyed digest alone: nobody can
read, or guess, from it what was sent.  The key lives as long as the memory and is never written down.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Protocol

from corpproxy import twins
from corpproxy.http1.fields import Outline

# Sections remembered, in two halves of which the older is dropped when the younger is full: hostile filling
# costs those who come again one reading.  One costs about 1.5 KiB with what stations keep in its notes.
REMEMBERED_HALF = 2048

# The digest of a longer one costs more than reading it saves.
LONGEST_OCTETS = 4096

_DIGEST_OCTETS = 16
_KEY_OCTETS = 16


class Keyed(Protocol):
    """Makes digests that say nothing to who has no key, and of which nobody without it finds two alike."""

    def of(self, octets: bytes) -> bytes:
        """The digest of some octets."""


class KeyedInPython:
    """
    Keyed digests by blake2b.

    Those of the compiled twin are others (SipHash of 128 bits): no digest ever leaves its process.
    """

    __slots__ = ("_begun",)

    def __init__(self, key: bytes) -> None:
        self._begun = blake2b(key=key, digest_size=_DIGEST_OCTETS)

    def of(self, octets: bytes) -> bytes:
        """The digest of some octets."""
        keyed = self._begun.copy()
        keyed.update(octets)
        return keyed.digest()


def _keyed() -> Keyed:
    key = secrets.token_bytes(_KEY_OCTETS)
    if twins.heads is not None:
        made: Keyed = twins.heads.Digest(key)
        return made
    return KeyedInPython(key)


class Sections:
    """Outlines of sections, by the keyed digest of their octets."""

    __slots__ = ("_keyed", "_old", "_young")

    def __init__(self) -> None:
        self._keyed = _keyed()
        self._young: dict[bytes, Outline] = {}
        self._old: dict[bytes, Outline] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, section: bytes) -> Outline | None:
        """Give what is known of a section, if it came before and was sound."""
        if len(section) > LONGEST_OCTETS:
            return None
        digest = self._keyed.of(section)
        return self._young.get(digest) or self._again(digest)

    def keep(self, section: bytes, outline: Outline) -> None:
        """Remember a sound section, unless it is empty or long."""
        if section and len(section) <= LONGEST_OCTETS:
            self._put(self._keyed.of(section), outline)

    def _again(self, digest: bytes) -> Outline | None:
        outline = self._old.get(digest)
        if outline is not None:
            self._put(digest, outline)
        return outline

    def _put(self, digest: bytes, outline: Outline) -> None:
        if len(self._young) >= REMEMBERED_HALF:
            self._young, self._old = {}, self._young
        self._young[digest] = outline
