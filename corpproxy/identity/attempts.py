"""
A growing delay for those who guess passwords, and for nobody else.

Two things are counted.  Wrong passwords for one name from one address: a person mistypes three times for
free, then waits, each time longer.  Wrong passwords from one address whatever the names: a room behind one
address mistypes twenty times for free and works that off in minutes, while somebody who tries one password
on all names is slowed.  Nothing is counted by name alone, so that nobody can keep another person out: the
right password from another address works at once.  It delays and never locks.

A browser repeats one wrong password on every connection; the same password counts once.
"""

from __future__ import annotations

import math
from ipaddress import ip_address, ip_network
from typing import TypeVar

# Wrong passwords for one name from one address: this many without delay, then one second, doubled each time.
FREE_PER_PAIR = 3
FIRST_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 30.0
# A name that failed is forgotten after this long without a new wrong password.
FORGET_SECONDS = 900.0
# Digests kept of the wrong passwords of one pair: a machine repeats the few that are stored in its programs.
DIGESTS_PER_PAIR = 8

# Wrong passwords from one address: this many without delay; each five more double a quarter of a second.
FREE_PER_ADDRESS = 20.0
ADDRESS_FIRST_DELAY_SECONDS = 0.25
ADDRESS_DOUBLES_EVERY = 5.0
ADDRESS_MAX_DELAY_SECONDS = 4.0
# What an address works off per second, and the most it can owe: seven minutes of quiet clear it.
ADDRESS_LEAK_PER_SECOND = 0.1
ADDRESS_MAX_LEVEL = 60.0

# How many pairs and addresses are held; the one whose last failure is longest ago goes first.
MAX_HELD = 20_000

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Attempts:
    """
    Counts wrong passwords and says how long the next try has to wait.

    Time is POSIX seconds.  A clock that jumps back never makes anybody wait longer than the longest delay;
    one that jumps ahead forgives.
    """

    def __init__(self, limit: int = MAX_HELD) -> None:
        self._limit = limit
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._addresses: dict[str, _Address] = {}
        # By the hash of name and address, which is another one in each process: nobody can make two meet,
        # and two that met would spare somebody a delay.  All who sign in stand here.
        self._proven: dict[int, None] = {}

    def delay_seconds(self, name: str, address: str, now: float) -> float:
        """
        Give the seconds that a try for ``name`` from ``address`` has to wait from now on; usually 0.

        A name that once signed in from this address does not pay for what its neighbours there did.
        """
        key = (name, address)
        pair = self._pairs.get(key)
        delay = pair.delay_seconds(now) if pair else 0.0
        shared = self._addresses.get(site_of(address))
        if shared is not None and hash(key) not in self._proven:
            delay = max(delay, shared.delay_seconds(now))
        return delay

    def failed(self, name: str, address: str, digest: bytes, now: float) -> None:
        """Count one wrong password, known by its digest; the same one again is not counted."""
        key = (name, address)
        pair = self._pairs.pop(key, None)
        if pair is None or not pair.is_fresh(now):
            pair = _Pair()
        _put(self._pairs, key, pair, self._limit)
        if pair.count(digest, now):
            site = site_of(address)
            shared = self._addresses.pop(site, None) or _Address(now)
            shared.count(now)
            _put(self._addresses, site, shared, self._limit)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the wrong passwords of this name from this address: the person is who they say."""
        key = (name, address)
        self._pairs.pop(key, None)
        proven = hash(key)
        self._proven.pop(proven, None)
        _put(self._proven, proven, None, self._limit)

    def __len__(self) -> int:
        """How many pairs are held that failed."""
        return len(self._pairs)


class _Pair:
    """The wrong passwords of one name from one address."""

    __slots__ = ("digests", "failures", "last")

    def __init__(self) -> None:
        self.failures = 0
        self.last = 0.0
        self.digests: tuple[bytes, ...] = ()

    def is_fresh(self, now: float) -> bool:
        return now - self.last < FORGET_SECONDS

    def delay_seconds(self, now: float) -> float:
        if self.failures < FREE_PER_PAIR or not self.is_fresh(now):
            return 0.0
        doublings = min(self.failures - FREE_PER_PAIR, 16)
        delay = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * (1 << doublings))
        return _rest(delay, self.last, now)

    def count(self, digest: bytes, now: float) -> bool:
        if digest in self.digests:
            return False
        self.digests = (*self.digests[1 - DIGESTS_PER_PAIR :], digest)
        self.failures += 1
        self.last = now
        return True


class _Address:
    """What one address owes for wrong passwords: a level that leaks away."""

    __slots__ = ("_at", "_level")

    def __init__(self, now: float) -> None:
        self._level = 0.0
        self._at = now

    def level(self, now: float) -> float:
        return max(0.0, self._level - max(0.0, now - self._at) * ADDRESS_LEAK_PER_SECOND)

    def delay_seconds(self, now: float) -> float:
        over = self.level(now) - FREE_PER_ADDRESS
        if over < 0:
            return 0.0
        doublings: float = over / ADDRESS_DOUBLES_EVERY
        return min(ADDRESS_MAX_DELAY_SECONDS, ADDRESS_FIRST_DELAY_SECONDS * math.pow(2.0, doublings))

    def count(self, now: float) -> None:
        self._level = min(ADDRESS_MAX_LEVEL, self.level(now) + 1.0)
        self._at = now


def _rest(delay: float, since: float, now: float) -> float:
    """What is left of a delay that began at ``since``; all of it, not more, when the clock went back."""
    return max(0.0, min(delay, since + delay - now))


def site_of(address: str) -> str:
    """Give the unit that one guesser holds: an IPv4 address, or all 2**64 addresses of an IPv6 network."""
    if ":" not in address:
        return address
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(ip, "ipv4_mapped", None)
    return str(mapped) if mapped else str(ip_network((ip, 64), strict=False))


def _put(held: dict[_Key, _Value], key: _Key, value: _Value, limit: int) -> None:
    """Hold ``value`` as the newest; the oldest goes when there are too many."""
    if len(held) >= limit:
        del held[next(iter(held))]
    held[key] = value
