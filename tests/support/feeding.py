"""Every reader is fed whole, byte by byte, and in odd pieces: what it says must not depend on that."""

from __future__ import annotations

from collections.abc import Iterator


def portions(octets: bytes) -> Iterator[list[bytes]]:
    """Yield the ways to cut ``octets``: whole, byte by byte, and in two at each of a few places."""
    yield [octets]
    yield [octets[i : i + 1] for i in range(len(octets))]
    for cut in {1, len(octets) // 3, len(octets) // 2, len(octets) - 1}:
        if 0 < cut < len(octets):
            yield [octets[:cut], octets[cut:]]
