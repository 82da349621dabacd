"""Minutes that count, by their numbers: one that several count is one."""

from __future__ import annotations

from dataclasses import dataclass

# So many of the last are known one by one: as many as a number in a database has bits, without its sign.
KNOWN = 63
_ALL = (1 << KNOWN) - 1


@dataclass(slots=True)
class Minutes:
    """Which of the last minutes count: the number of the last, and a bit for it and each before it."""

    last: int = 0
    bits: int = 0

    def count(self, minute: int) -> None:
        """A minute counts; those too long before it are forgotten."""
        self.take_in(Minutes(minute, 1))

    def take_in(self, others: Minutes) -> int:
        """Let these count, too; gives how many of them did not: those too long ago are taken for such."""
        last = max(self.last, others.last)
        mine, theirs = self._until(last), others._until(last)
        forgotten = others.bits.bit_count() - theirs.bit_count()
        self.last, self.bits = last, mine | theirs
        return (theirs & ~mine).bit_count() + forgotten

    def since(self, minute: int) -> Minutes:
        """Those that came after a minute."""
        newer = max(0, self.last - minute)
        return Minutes(self.last, self.bits & ((1 << newer) - 1) if newer < KNOWN else self.bits)

    def _until(self, last: int) -> int:
        """The bits, by the number of a later minute."""
        ago = last - self.last
        return self.bits << ago & _ALL if ago < KNOWN else 0
