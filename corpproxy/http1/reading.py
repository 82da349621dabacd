"""What all readers of bodies have in common."""

from __future__ import annotations

from corpproxy.http1.fields import Fields

NO_FIELDS = Fields(b"")


class BodyReader:
    """
    Reads the body of one message.

    ``done`` says that it is over; ``rest`` is what came behind it, until then empty; ``trailers``
    are the fields after the last chunk.
    """

    __slots__ = ("done", "rest", "trailers")

    def __init__(self, *, done: bool = False) -> None:
        self.done = done
        self.rest = b""
        self.trailers = NO_FIELDS

    def feed(self, data: bytes) -> list[bytes]:
        """Take octets, give the content in them; ProtocolError when they break the framing."""
        raise AssertionError("each framing has a reader of its own")

    def end_of_stream(self) -> None:
        """Take the end of the connection; ProtocolError when it cuts the message short."""
        raise AssertionError("each framing has a reader of its own")
