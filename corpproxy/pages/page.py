"""A page, rendered: what the road sends as an answer of our own."""

from __future__ import annotations

from dataclasses import dataclass

Fields = tuple[tuple[bytes, bytes], ...]

# What every page says, whatever is on it.  A page speaks of one person at one time: no cache may keep it.
# Its look depends on the two fields a browser negotiates with (RFC 9110, section 12.5.5).
COMMON: Fields = (
    (b"Cache-Control", b"no-store"),
    (b"Vary", b"Accept, Accept-Language"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"no-referrer"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """
    One answer of our own: ``fields`` go into the head as they are, ``content`` after it.

    Content-Length, Date and Connection are the sender's, who leaves the content out when the method
    was HEAD (RFC 9110, section 9.3.2).
    """

    status: int
    fields: Fields
    content: bytes

    def field(self, name: bytes) -> bytes:
        """Give the first value of a field, empty when there is none; names compare in any case."""
        wanted = name.lower()
        return next((value for given, value in self.fields if given.lower() == wanted), b"")

    def with_fields(self, *more: tuple[bytes, bytes]) -> Page:
        """Give the same page with further fields, such as the challenges of a 407."""
        return Page(self.status, (*self.fields, *more), self.content)
