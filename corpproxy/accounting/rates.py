"""
Rates: buckets of octets that fill with time, and their fair division among those who want more.

What moves takes from every bucket that it stands below: those of its person, of the person's group, of the
site.  A bucket that has enough gives at once.  From one that has not, those who want more wait, and four
times a second all that came in since is dealt among them (`Rates.deal`): everybody is given the same, but
for those who want less or whom another bucket holds to less, and what these leave goes to the others.  So a
person gets the same share however many connections they open, and nobody waits for ever.

No sockets and no clock stand here; whoever moves octets asks a `Claim` how many it may move.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence

from corpproxy.accounting.buckets import FIRST_SECONDS, MOST_SECONDS, Bucket, Stock
from corpproxy.accounting.dividing import Pauses, dividing, drained
from corpproxy.accounting.sharing import BucketKey
from corpproxy.accounting.telling import News, changed

# Less than this is not worth a turn of a connection; it is kept until there is more.
PIECE_OCTETS = 4 * 1024
# To hand out to one member takes as long as to look at so many.
HANDING_OUT = 3
# What one that is not known yet may want.
ANY = 1 << 40


class Member:
    """
    One person below the same buckets, one way: what is dealt to, whatever the number of connections.

    ``waiting`` are the claims that want more, and ``blocked`` the buckets that they wait for.  ``credit`` was
    dealt and is too little for a piece yet.
    ``weight`` is less than one where the same person is dealt to elsewhere, too.
    """

    __slots__ = ("blocked", "buckets", "claims", "credit", "key", "person", "waiting", "weight")

    def __init__(self, key: Hashable, person: str, buckets: Sequence[Bucket]) -> None:
        self.key = key
        self.person = person
        self.buckets = tuple(buckets)
        self.blocked: tuple[Bucket, ...] = ()
        self.claims = 0
        self.waiting: deque[Claim] = deque()
        self.credit = 0
        self.weight = 1.0

    def take(self, octets: int) -> None:
        """Take octets out of the buckets, or put them back when there are less than none."""
        for bucket in self.buckets:
            bucket.tokens -= octets

    def put_back(self, octets: int) -> None:
        """Put octets back that came and did not move: rates count what came, loans what moved."""
        for bucket in self.buckets:
            if bucket.is_lent:
                bucket.tokens += octets

    def draw(self, octets: int) -> None:
        """Take octets that nobody had to wait for."""
        person = self.person
        for bucket in self.buckets:
            bucket.tokens -= octets
            bucket.note(person, octets)

    def ready(self, now: float) -> int:
        """How much may be taken at once: nothing while anybody waits for one of the buckets."""
        least = float(ANY)
        for bucket in self.buckets:
            if bucket.hungry:
                return 0
            bucket.fill(now)
            least = min(least, bucket.tokens)
        return int(least)

    def note(self, octets: int) -> None:
        """Note that octets were dealt: for the buckets that would have had more, nobody had to wait."""
        person = self.person
        for bucket in self.buckets:
            if bucket.held:
                bucket.wait(person)
            else:
                bucket.note(person, octets)

    def wait_for(self, buckets: Iterable[Bucket]) -> None:
        """Wait for these buckets and no others."""
        for bucket in self.blocked:
            bucket.hungry -= 1
        self.blocked = tuple(buckets)
        for bucket in self.blocked:
            bucket.hungry += 1
            bucket.wait(self.person)

    @property
    def want(self) -> int:
        """What its claims may use until the next dealing."""
        return sum(claim.want for claim in self.waiting) - min(self.credit, 0)

    def is_in_debt(self, now: float) -> bool:
        """Whether more was moved than there was, beyond a head or two."""
        for bucket in self.buckets:
            bucket.fill(now)
        return any(bucket.tokens < -PIECE_OCTETS for bucket in self.buckets)


class Claim:
    """
    One way of one exchange.

    ``allowance`` is what it may move now; whoever moves octets counts them down.  ``wake`` is called when it
    waited and has been given something.  ``given`` is what it was given since the last dealing, ``want``
    what it may use until the next, as far as can be told.  ``is_noted`` says that the next dealing will look
    what it has left.
    """

    __slots__ = ("allowance", "given", "is_noted", "is_waiting", "member", "wake", "want")

    def __init__(self, member: Member, wake: Callable[[], None]) -> None:
        self.member = member
        self.wake = wake
        self.allowance = 0
        self.given = 0
        self.want = ANY
        self.is_noted = False
        self.is_waiting = False


class Rates:
    """
    All buckets of one process, and the members below them; ``stocks`` are those that are filled by loans.

    ``part`` is what a new bucket has of its rate here; ``spread`` the people who wait in several processes.
    """

    def __init__(self) -> None:
        self.part = 1.0
        self.spread: dict[str, int] = {}
        self.buckets: dict[BucketKey, Bucket] = {}
        self.stocks: dict[BucketKey, Stock] = {}
        self._members: dict[Hashable, Member] = {}
        # In the order in which they began to wait.
        self._hungry: dict[Member, None] = {}
        # Those who were given something and may have some of it left.
        self._given: list[Claim] = []
        # The buckets that are there no more, of those that were told of.
        self._gone: list[BucketKey] = []

    def __len__(self) -> int:
        return len(self._members)

    @property
    def is_wanted(self) -> bool:
        """Whether anybody waits, or may have something to give back."""
        return bool(self._hungry or self._given)

    @property
    def hungry(self) -> tuple[Member, ...]:
        """The members that wait."""
        return tuple(self._hungry)

    def join(
        self,
        person: str,
        buckets: Sequence[tuple[BucketKey, float]],
        now: float,
        wake: Callable[[], None],
    ) -> Claim:
        """Give a claim below these buckets, each a key and the rate of one that is not there yet."""
        key = (person, *(one for one, _ in buckets))
        # Also for a member that is there: the limit may have another rate now.
        found = [self._bucket(one, rate, now) for one, rate in buckets]
        member = self._members.get(key)
        if member is None:
            member = self._members[key] = Member(key, person, found)
            for bucket in found:
                bucket.members += 1
        member.claims += 1
        return Claim(member, wake)

    def leave(self, claim: Claim) -> None:
        """A claim is over; what it did not use is there for others."""
        member = claim.member
        if claim.is_waiting:
            claim.is_waiting = False
            member.waiting.remove(claim)
            if not member.waiting:
                self._is_fed(member)
        if claim.allowance:
            member.take(-claim.allowance)
            claim.allowance = 0
        member.claims -= 1
        if not member.claims:
            del self._members[member.key]
            for bucket in member.buckets:
                bucket.members -= 1
                self._left(bucket)

    def invite(self, buckets: Iterable[tuple[BucketKey, float]], now: float) -> tuple[Bucket, ...]:
        """Give buckets to somebody who takes of them what is there, and never waits; until `see_off`."""
        found = tuple(self._bucket(one, rate, now) for one, rate in buckets)
        for bucket in found:
            bucket.guests += 1
        return found

    def see_off(self, buckets: Iterable[Bucket]) -> None:
        """Who was invited to these takes of them no more."""
        for bucket in buckets:
            bucket.guests -= 1
            self._left(bucket)

    def forgetting(self, now: float) -> Iterator[None]:
        """Forget buckets that nobody takes from and that are full again, a slice at each step."""
        pauses = Pauses()
        for key in drained(list(self.buckets)):
            # While others had their turn it may have gone.
            bucket = self.buckets.get(key)
            if bucket is not None and not bucket.members:
                bucket.fill(now)
                if self._may_forget(bucket):
                    self._forget(bucket)
            if pauses.is_due():
                yield

    def draw(self, claim: Claim, now: float) -> int:
        """Give a claim what is there at once; gives what it may move now."""
        # It may have moved more than it might: a read that could not be made shorter.
        ready = claim.member.ready(now)
        if ready >= PIECE_OCTETS - min(claim.allowance, 0):
            piece = min(ready, max(claim.want, PIECE_OCTETS - claim.allowance))
            claim.member.draw(piece)
            claim.allowance += piece
            claim.given += piece
            self._note(claim)
        return claim.allowance

    def wait(self, claim: Claim) -> None:
        """A claim wants more than there is: it is given some by `deal`."""
        if claim.is_waiting:
            return
        claim.is_waiting = True
        member = claim.member
        if claim.allowance < 0:
            member.credit += claim.allowance
            claim.given -= claim.allowance
            claim.allowance = 0
        member.waiting.append(claim)
        if member not in self._hungry:
            self._hungry[member] = None
            member.wait_for([one for one in member.buckets if one.hungry or one.tokens < PIECE_OCTETS])

    def dealing(self, now: float, give: Callable[[Claim], None]) -> Iterator[None]:
        """
        Deal what came in among those who wait, a slice at each step; the claims that may go on are given.

        Between two steps anybody may come, leave, take what is there at once, or begin to wait: who leaves
        gets nothing, who begins to wait is dealt to the next time, and nobody is handed more than their
        buckets have by then.
        """
        pauses = Pauses()
        yield from self._take_back(pauses)
        hungry = yield from self._next(now, pauses)
        yield from self._share_weights(hungry, pauses)
        shares = yield from dividing(hungry, pauses)
        for member, octets in zip(hungry, shares, strict=True):
            if member in self._hungry:
                self._hand_out(member, octets, give)
            if pauses.is_due(HANDING_OUT):
                yield
        for member in hungry:
            for bucket in member.buckets:
                bucket.spill()
            if pauses.is_due():
                yield

    # With other processes.

    def news(self, seconds: float) -> Generator[None, None, News]:
        """
        What was taken of buckets since this was asked the last time, so many seconds ago.

        Only of those of which something else was told then, a slice at each step.
        """
        pauses = Pauses()
        gone, self._gone = self._gone, []
        wanted = yield from changed(self.buckets, seconds, pauses)
        yield from self._note_eager(pauses)
        return News(wanted, gone)

    def tell_anew(self) -> None:
        """Whoever was told of buckets knows nothing any more: all are news."""
        self._gone = []
        for bucket in self.buckets.values():
            bucket.told = None

    def beginning_anew(self) -> Iterator[None]:
        """Forget what was taken until now, a slice at each step."""
        pauses = Pauses()
        for bucket in list(self.buckets.values()):
            if bucket.drawn or bucket.eager:
                bucket.begin_anew()
            if pauses.is_due():
                yield
        yield from self._note_eager(pauses)

    def take_parts(self, parts: Mapping[BucketKey, float], now: float) -> None:
        """Fill these buckets at these rates from now on."""
        for key, rate in parts.items():
            bucket = self.buckets.get(key)
            if bucket is not None:
                bucket.change(rate, now)

    def stock(self, key: BucketKey) -> Stock:
        """What is lent of a quota; nothing at first.  It is there until it is dropped."""
        stock = self.stocks.get(key)
        if stock is None:
            stock = self.stocks[key] = Stock(key)
        return stock

    def drop(self, key: BucketKey) -> None:
        """Forget a stock that nobody takes from."""
        self.stocks.pop(key, None)

    # Inside.

    def _bucket(self, key: BucketKey, rate: float, now: float) -> Bucket:
        bucket = self.buckets.get(key)
        if bucket is None and key in self.stocks:
            return self.stocks[key]
        if bucket is None:
            bucket = self.buckets[key] = Bucket(key, rate * self.part, now)
            bucket.whole = rate
        elif bucket.whole != rate:
            bucket.whole = rate
            bucket.change(rate * self.part, now)
        return bucket

    def _note(self, claim: Claim) -> None:
        if not claim.is_noted:
            claim.is_noted = True
            self._given.append(claim)

    def _note_eager(self, pauses: Pauses) -> Iterator[None]:
        """Those who wait now wait in the time that begins, too."""
        for member in list(self._hungry):
            for bucket in member.blocked:
                bucket.wait(member.person)
            if pauses.is_due():
                yield

    def _left(self, bucket: Bucket) -> None:
        """Somebody stands below a bucket no more."""
        if not bucket.members and self._may_forget(bucket):
            self._forget(bucket)

    def _forget(self, bucket: Bucket) -> None:
        gone = self.buckets.pop(bucket.key, None)
        if gone is not None and gone.told is not None:
            self._gone.append(bucket.key)

    def _may_forget(self, bucket: Bucket) -> bool:
        return not (bucket.is_lent or bucket.guests) and bucket.tokens >= bucket.rate * FIRST_SECONDS

    def _is_fed(self, member: Member) -> None:
        """Nobody of a member waits any more."""
        del self._hungry[member]
        member.wait_for(())
        if member.credit:
            member.take(-member.credit)
            member.credit = 0

    def _take_back(self, pauses: Pauses) -> Iterator[None]:
        """Take back what was given and not used, and learn from it what a claim wants."""
        given, self._given = self._given, []
        for claim in given:
            used = claim.given - claim.allowance
            claim.want = min(ANY, max((2 if claim.allowance else 4) * used, PIECE_OCTETS))
            if claim.allowance:
                claim.member.take(-claim.allowance)
                claim.allowance = 0
            claim.given = 0
            claim.is_noted = False
            if pauses.is_due():
                yield

    def _next(self, now: float, pauses: Pauses) -> Generator[None, None, list[Member]]:
        """
        Give those who are dealt to now: in their order, as many as there are pieces in their buckets.

        The others come first the next time; to give everybody a crumb would give them all a piece at once.
        """
        pieces: dict[Bucket, int] = {}
        chosen = []
        for member in list(self._hungry):
            for bucket in member.buckets:
                if bucket not in pieces:
                    bucket.fill(now, MOST_SECONDS)
                    bucket.held = False
                    pieces[bucket] = max(1, int(bucket.tokens) // PIECE_OCTETS)
            if all(pieces[bucket] for bucket in member.buckets):
                chosen.append(member)
                for bucket in member.buckets:
                    pieces[bucket] -= 1
            if pauses.is_due():
                yield
        return chosen

    def _share_weights(self, hungry: Sequence[Member], pauses: Pauses) -> Iterator[None]:
        """A person who waits below different buckets is no more than one person in those that all share."""
        counted: Counter[str] = Counter()
        for member in hungry:
            counted[member.person] += 1
            if pauses.is_due():
                yield
        for member in hungry:
            member.weight = 1 / (counted[member.person] * self.spread.get(member.person, 1))
            if pauses.is_due():
                yield

    def _hand_out(self, member: Member, octets: int, give: Callable[[Claim], None]) -> None:
        """Give what was dealt to a member to its claims, in turn, in pieces that are worth it."""
        # Others may have taken some since it was divided.
        octets = max(0, min(octets, *(int(bucket.tokens) for bucket in member.buckets)))
        member.take(octets)
        member.note(octets)
        member.credit += octets
        waiting = member.waiting
        if member.credit < PIECE_OCTETS and member.credit < min(one.want for one in waiting):
            member.wait_for([one for one in member.buckets if one.held])
            return
        piece = max(PIECE_OCTETS, member.credit // len(waiting))
        while waiting and member.credit > 0:
            claim = waiting[0]
            given = min(piece, claim.want, member.credit)
            if given < min(PIECE_OCTETS, claim.want):
                break
            member.credit -= given
            claim.allowance += given
            claim.given += given
            waiting.popleft()
            claim.is_waiting = False
            self._note(claim)
            give(claim)
        if not waiting:
            self._is_fed(member)
        else:
            # Others come first the next time.
            self._hungry[member] = self._hungry.pop(member)
            member.wait_for([one for one in member.buckets if one.held])
