"""Buckets: octets that may be moved, which come in with time, or by loans."""

from __future__ import annotations

from corpproxy.accounting.sharing import BucketKey, Wanted

# What a bucket holds when nobody takes from it: so much of its rate.  A page of a few pictures comes at
# once, and over ten seconds nobody gets 3 % more than the rate.
BURST_SECONDS = 0.25
# A bucket is made half full, for the same reason.
FIRST_SECONDS = BURST_SECONDS / 2
# A machine that stood still for longer does not catch up.
MOST_SECONDS = 1.0


# What most buckets have noted most of the time; nothing is put into these.
_NOTHING: dict[str, int] = {}
_NOBODY: set[str] = set()


class Bucket:
    """
    Octets that may be moved, at most `BURST_SECONDS` of ``rate`` (octets a second) when nobody wants them.

    ``tokens`` falls below zero when something had to be moved that could not wait.  ``hungry`` counts the
    members that wait for it: what comes in is theirs.  ``held`` says that it was the reason in the last
    dealing why somebody did not get more.  ``whole`` is the rate of the limit, of which this process has its
    part.  ``drawn`` is what people took of it without waiting, ``eager`` those who had to wait for it, since
    that was told the last time.  ``members`` stand below it, and so many ``guests``, who take of it without
    ever waiting (`corpproxy.accounting.leeway`).  ``told`` is what other processes were told of it the last
    time, if anything.
    """

    __slots__ = (
        "drawn",
        "eager",
        "guests",
        "held",
        "hungry",
        "key",
        "members",
        "rate",
        "seen",
        "tokens",
        "told",
        "whole",
    )

    # Whether it is filled by loans, and not with time.
    is_lent = False

    def __init__(self, key: BucketKey, rate: float, now: float) -> None:
        self.key = key
        self.rate = self.whole = rate
        self.tokens = rate * FIRST_SECONDS
        self.seen = now
        self.members = self.guests = 0
        self.hungry = 0
        self.held = False
        self.drawn = _NOTHING
        self.eager = _NOBODY
        self.told: Wanted | None = None

    def fill(self, now: float, most_seconds: float = BURST_SECONDS) -> None:
        """Let in what came since the last time."""
        seconds = now - self.seen
        self.seen = now
        if seconds <= 0:
            return
        most = self.rate * most_seconds
        if self.tokens < most:
            self.tokens = min(most, self.tokens + self.rate * seconds)

    def spill(self) -> None:
        """Drop what nobody wanted, beyond the burst."""
        self.tokens = min(self.tokens, self.rate * BURST_SECONDS)

    def note(self, person: str, octets: int) -> None:
        """Note that somebody took octets who need not wait for them."""
        if self.drawn is _NOTHING:
            self.drawn = {}
        self.drawn[person] = self.drawn.get(person, 0) + octets

    def wait(self, person: str) -> None:
        """Note that somebody has to wait for it."""
        if self.eager is _NOBODY:
            self.eager = set()
        self.eager.add(person)

    def begin_anew(self) -> None:
        """Forget what was taken until now."""
        # No new ones: there are thousands of buckets, and the collector would look at them all.
        if self.drawn:
            self.drawn.clear()
        if self.eager:
            self.eager.clear()

    def change(self, rate: float, now: float) -> None:
        """Fill at another rate from now on."""
        self.fill(now)
        self.rate = rate
        self.spill()


class Stock(Bucket):
    """
    What is lent of a quota: nothing comes in with time, and nothing spills.

    ``until`` is how long it may be used without hearing from the lender.
    """

    __slots__ = ("until",)

    is_lent = True

    def __init__(self, key: BucketKey) -> None:
        super().__init__(key, 0.0, 0.0)
        self.until = 0.0

    def fill(self, now: float, most_seconds: float = BURST_SECONDS) -> None:
        """Nothing comes but by loans."""

    def spill(self) -> None:
        """What is lent stays until it is given back."""

    def change(self, rate: float, now: float) -> None:
        """There is no rate."""

    def note(self, person: str, octets: int) -> None:
        """Who took how much is told to nobody."""

    def wait(self, person: str) -> None:
        """Nor who waits: the answer is on its way."""
