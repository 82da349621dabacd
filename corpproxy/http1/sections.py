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

from corpproxy.http1.fields import Outline

# Sections remembered, in two halves of which the older is dropped when the younger is full: hostile filling
# costs those who come again one reading.  One costs about 1.5 KiB with what stations keep in its notes.
REMEMBERED_HALF = 2048

# The digest of a longer one costs more than reading it saves.
LONGEST_OCTETS = 4096

_DIGEST_OCTETS = 16
_KEY_OCTETS = 32


class Sections:
    """Outlines of sections, by the keyed digest of their octets."""

    __slots__ = ("_keyed", "_old", "_young")

    def __init__(self) -> None:
        self._keyed = blake2b(key=secrets.token_bytes(_KEY_OCTETS), digest_size=_DIGEST_OCTETS)
        self._young: dict[bytes, Outline] = {}
        self._old: dict[bytes, Outline] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, section: bytes) -> Outline | None:
        """Give what is known of a section, if it came before and was sound."""
        if len(section) > LONGEST_OCTETS:
            return None
        keyed = self._keyed.copy()
        keyed.update(section)
        digest = keyed.digest()
        return self._young.get(digest) or self._again(digest)

    def keep(self, section: bytes, outline: Outline) -> None:
        """Remember a sound section, unless it is empty or long."""
        if section and len(section) <= LONGEST_OCTETS:
            keyed = self._keyed.copy()
            keyed.update(section)
            self._put(keyed.digest(), outline)

    def _again(self, digest: bytes) -> Outline | None:
        outline = self._old.get(digest)
        if outline is not None:
            self._put(digest, outline)
        return outline

    def _put(self, digest: bytes, outline: Outline) -> None:
        if len(self._young) >= REMEMBERED_HALF:
            self._young, self._old = {}, self._young
        self._young[digest] = outline
