"""
Credentials that were checked a moment ago, so that only the first exchange of a person costs a hash.

What is kept is a keyed digest of the field value, never the value: a memory image shows no password.
The key lives as long as the service, whose processes share it, and is never written down.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

DIGEST_OCTETS = 16
# A person has a browser, a telephone and an updater, each spelling the field its own way.  The bound stops
# one person from filling the memory with spellings ("basic", "BASIC", more spaces) of one password.
MAX_PER_NAME = 8
# Browsers repeat a wrong password on every connection they open, for about this long.
WRONG_LIFE_SECONDS = 60.0

_Entry = tuple[str, float, float]  # name, since, until


class SignInMemory:
    """
    Remembers which credentials were right, and briefly which were wrong.

    Each half holds at most ``limit`` entries; the oldest goes first.  An entry holds from the moment it was
    made until its life ends: a clock that jumps back ends it too, as doubt costs one hash and nothing else.
    Lives begin with whole seconds, so that those who sign in together share the numbers.
    ``right`` are those that were right, by their digests: name, since, until.
    """

    def __init__(self, life_seconds: float, limit: int, key: bytes) -> None:
        self._life_seconds = life_seconds
        self._keyed = blake2b(key=key, digest_size=DIGEST_OCTETS)
        self._right = _Half(limit)
        self._wrong = _Half(limit)
        self.right = self._right.entries
        # When the last one began to be remembered, and until when it is.
        self._second = self._ends = 0.0

    def digest(self, value: bytes) -> bytes:
        """Give the keyed digest of a field value: the same for the same value while this process lives."""
        keyed = self._keyed.copy()
        keyed.update(value)
        return keyed.digest()

    def known(self, value: bytes, now: float) -> str | None:
        """Give the name that signed in with exactly this value, or None."""
        entry = self.right.get(self.digest(value))
        if entry is None or not entry[1] <= now < entry[2]:
            return None
        return entry[0]

    def is_wrong(self, digest: bytes, now: float) -> bool:
        """Whether exactly the value of this digest was found wrong a moment ago."""
        entry = self._wrong.entries.get(digest)
        return entry is not None and entry[1] <= now < entry[2]

    def remember(self, value: bytes, name: str, now: float) -> None:
        """Keep that ``value`` is right and belongs to ``name``."""
        self.keep(self.digest(value), name, now)

    def keep(self, digest: bytes, name: str, now: float) -> None:
        """Keep that the value of this digest is right, as somebody with the same key found."""
        self._wrong.forget(digest)
        second = now // 1
        if second != self._second:
            self._second, self._ends = second, second + self._life_seconds
        self._right.keep(digest, (name, self._second, self._ends))

    def remember_wrong(self, value: bytes, name: str, now: float) -> None:
        """Keep for a moment that ``value`` is wrong; what was right before with it is forgotten."""
        self.keep_wrong(self.digest(value), name, now)

    def keep_wrong(self, digest: bytes, name: str, now: float) -> None:
        """Keep for a moment that the value of this digest is wrong, as somebody with the same key found."""
        self._right.forget(digest)
        self._wrong.keep(digest, (name, now, now + WRONG_LIFE_SECONDS))

    def forget_names(self, names: Iterable[str]) -> None:
        """Forget what was right and what was wrong for these names: their lines changed."""
        for name in names:
            self._right.forget_name(name)
            self._wrong.forget_name(name)

    def clear(self) -> None:
        """Forget everything."""
        self._right.clear()
        self._wrong.clear()

    def __len__(self) -> int:
        """How many right credentials are held, ended ones included."""
        return len(self.right)


class _Half:
    """
    Entries by digest, the oldest first, and the digests of each name.

    Nearly all names have one, which stands for itself; others have them in a tuple, the oldest first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.entries: dict[bytes, _Entry] = {}
        self._by_name: dict[str, bytes | tuple[bytes, ...]] = {}

    def keep(self, digest: bytes, entry: _Entry) -> None:
        if digest in self.entries:
            self.forget(digest)
        name = entry[0]
        mine = _all(self._by_name.get(name))
        if len(mine) >= MAX_PER_NAME:
            del self.entries[mine[0]]
            mine = mine[1:]
        elif len(self.entries) >= self._limit:
            self.forget(next(iter(self.entries)))
            mine = _all(self._by_name.get(name))
        self._by_name[name] = (*mine, digest) if mine else digest
        self.entries[digest] = entry

    def forget(self, digest: bytes) -> None:
        entry = self.entries.pop(digest, None)
        if entry is None:
            return
        name = entry[0]
        left = tuple(one for one in _all(self._by_name[name]) if one != digest)
        if left:
            self._by_name[name] = left
        else:
            del self._by_name[name]

    def forget_name(self, name: str) -> None:
        for digest in _all(self._by_name.pop(name, None)):
            del self.entries[digest]

    def clear(self) -> None:
        self.entries.clear()
        self._by_name.clear()


def _all(digests: bytes | tuple[bytes, ...] | None) -> tuple[bytes, ...]:
    if digests is None:
        return ()
    return (digests,) if isinstance(digests, bytes) else digests
