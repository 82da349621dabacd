"""
Content on the wire: read from its framing, written in one.

Readers give content as pieces of the octets they were fed, without gathering or copying more than the cut
needs; a piece that is the whole of what came is the same object.  The writers add only
what the framing asks for.
"""

from __future__ import annotations

from collections.abc import Iterable

from corpproxy.counted import counted
from corpproxy.http1.chunked import ChunkedReader
from corpproxy.http1.fields import field_line
from corpproxy.http1.framing import Body, Framing
from corpproxy.http1.limits import DEFAULT_LIMITS, Limits
from corpproxy.http1.reading import BodyReader
from corpproxy.http1.refusals import refuse


def body_reader(body: Body, limits: Limits = DEFAULT_LIMITS, *, content_octets: int = 0) -> BodyReader:
    """
    Make the reader for a body.

    ``content_octets`` is the most that chunks may add up to (413), 0 for no limit; a length was
    checked with the head.
    """
    if body.framing is Framing.CHUNKED:
        return ChunkedReader(limits, content_octets)
    if body.framing is Framing.CLOSE:
        return CloseReader()
    return LengthReader(body.length or 0)


class LengthReader(BodyReader):
    """Reads content of a known length; none at all is a length of 0."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        super().__init__(done=not length)
        self._left = length

    @property
    def left(self) -> int:
        """How many octets are still to come."""
        return self._left

    def pass_over(self, octets: int) -> None:
        """Note octets of the content that went their way without being fed."""
        self._left -= octets
        self.done = not self._left

    def feed(self, data: bytes) -> list[bytes]:
        """Take octets, give the content in them: the same object while the end is not in it."""
        size = len(data)
        if size < self._left:
            self._left -= size
            return [data] if size else []
        if self.done:
            self.rest += data
            return []
        piece, self.rest = (data, b"") if size == self._left else (data[: self._left], data[self._left :])
        self._left, self.done = 0, True
        return [piece]

    def end_of_stream(self) -> None:
        """Refuse a message that lacks octets (RFC 9112, section 8)."""
        if not self.done:
            raise refuse("cut-short", f"{counted(self._left, 'octet is', 'octets are')} missing")


class CloseReader(BodyReader):
    """Reads content that the end of the connection ends (RFC 9112, section 6.3, last rule); answers only."""

    __slots__ = ()

    def feed(self, data: bytes) -> list[bytes]:
        """Take octets: all of them are content."""
        return [data] if data else []

    def end_of_stream(self) -> None:
        """End the content; whether it is whole nobody can say."""
        self.done = True


class BodyWriter:
    """Writes content as it is: for a length, for the end of the connection, for none."""

    __slots__ = ()

    def piece(self, data: bytes) -> list[bytes]:
        """The octets that carry one piece of content, to be written in this order."""
        return [data] if data else []

    def end(self, trailers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
        """The octets that end the content.  Without chunks there is no place for trailers."""
        return b""


class ChunkedWriter(BodyWriter):
    """Writes content in chunks (RFC 9112, section 7.1)."""

    __slots__ = ()

    def piece(self, data: bytes) -> list[bytes]:
        """One chunk: its size line, the same object, CR LF.  Of nothing, nothing: it would be the end."""
        return [b"%x\r\n" % len(data), data, b"\r\n"] if data else []

    def end(self, trailers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
        """The last chunk and the trailer section; ValueError for a trailer that is no field."""
        return b"0\r\n%b\r\n" % b"".join(field_line(name, value) + b"\r\n" for name, value in trailers)


_PLAIN_WRITER = BodyWriter()
_CHUNKED_WRITER = ChunkedWriter()


def body_writer(framing: Framing) -> BodyWriter:
    """Give the writer for a framing.  Writers hold no state: one serves all."""
    return _CHUNKED_WRITER if framing is Framing.CHUNKED else _PLAIN_WRITER
