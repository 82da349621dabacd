"""The meter: the octets of one exchange on its client side, and which of them are in the ledger already."""

from __future__ import annotations


class Meter:
    """
    Counts the octets of one exchange, heads included, as the client sent and received them.

    Whoever moves octets adds to ``received`` (from the client) and ``sent`` (to the client); both only
    grow.  :meth:`take` hands each octet out once, whenever and however often it is called, so
    that a tunnel is counted while it runs.
    """

    __slots__ = ("counted_received", "counted_sent", "received", "sent")

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0
        self.counted_received = 0
        self.counted_sent = 0

    def take(self) -> tuple[int, int]:
        """Give the octets received and sent since the last time."""
        received, sent = self.received, self.sent
        taken = received - self.counted_received, sent - self.counted_sent
        self.counted_received = received
        self.counted_sent = sent
        return taken
