"""
Sign-ins that the board keeps: packed one behind the other, in the order in which they came.

A school has thousands, for nobody but a worker that begins: they have no objects and no index.  One that was
told twice, or was wrong later, is left out when they are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from corpproxy.supervisor.messages import SignedIn

# The length of what follows, and when it was.
_BEFORE = struct.Struct("<Id")
_PACK = msgspec.msgpack.Encoder().encode
_UNPACK = msgspec.msgpack.Decoder(tuple[bytes, str, str, bytes]).decode

# So much that is over is kept at the beginning before the rest is moved there.
_SLACK_OCTETS = 64 * 1024


class KeptSignIns:
    """Keeps at most ``limit`` sign-ins, and as many digests that were wrong later; the oldest go first."""

    def __init__(self, limit: int, wrong_limit: int) -> None:
        self._limit, self._wrong_limit = limit, wrong_limit
        self._octets = bytearray()
        # Places are counted from the first sign-in that ever was; this is where the octets begin.
        self._base = 0
        self._oldest = 0
        self._count = 0
        # Up to which place what was right is right no more.
        self._wrong: dict[bytes, int] = {}

    def __len__(self) -> int:
        """How many are kept, those told twice included."""
        return self._count

    def add(self, notice: SignedIn, since: float) -> None:
        """Keep one, and forget those from before ``since``."""
        packed = _PACK((notice.digest, notice.name, notice.address, notice.line))
        self._octets += _BEFORE.pack(len(packed), notice.at) + packed
        self._count += 1
        while self._count > self._limit or self._first()[1] <= since < notice.at:
            self._drop()

    def wrong(self, digest: bytes) -> None:
        """Believe no more that these credentials are right, until they are again."""
        self._wrong.pop(digest, None)
        self._wrong[digest] = self._base + len(self._octets)
        if len(self._wrong) > self._wrong_limit:
            # What is not known to be wrong any more may not be told as right.
            place = self._wrong.pop(next(iter(self._wrong)))
            while self._count and self._oldest < place:
                self._drop()

    def since(self, moment: float) -> Iterator[SignedIn]:
        """Give those after a moment, the oldest first."""
        told: dict[bytes, SignedIn] = {}
        place = self._oldest
        while place < self._base + len(self._octets):
            octets, at = self._at(place)
            begins = place - self._base + _BEFORE.size
            digest, name, address, line = _UNPACK(self._octets[begins : begins + octets])
            told.pop(digest, None)
            if at > moment and place >= self._wrong.get(digest, 0):
                told[digest] = SignedIn(digest, name, address, line, at)
            place += _BEFORE.size + octets
        yield from told.values()

    def _at(self, place: int) -> tuple[int, float]:
        octets, at = _BEFORE.unpack_from(self._octets, place - self._base)
        return octets, at

    def _first(self) -> tuple[int, float]:
        return self._at(self._oldest)

    def _drop(self) -> None:
        self._oldest += _BEFORE.size + self._first()[0]
        self._count -= 1
        over = self._oldest - self._base
        if over > _SLACK_OCTETS and over > len(self._octets) // 2:
            del self._octets[:over]
            self._base = self._oldest
