"""
Borrowing: what this process may move of each quota that ends at its last octet.

Whoever adds quotas up lends parts of them (`corpproxy.accounting.leases`): a worker moves no more than it was
lent.  What it holds of one stands in a bucket like any other (`corpproxy.accounting.buckets.Stock`), and more
is asked for before that is empty: enough for the next second, at the pace of the last one.  Who waits because
it is empty waits for an answer and not for a clock.

For short exchanges of somebody who is far below a quota (`corpproxy.accounting.leeway`) something is kept
from one to the next, and what they moved is told with the next question; unless less came than was asked for,
or it is called back: then others want what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall

from corpproxy.accounting.buckets import Stock
from corpproxy.accounting.dividing import SLICE, Pauses, forgetting
from corpproxy.accounting.leases import LEAST_OCTETS, TERM_SECONDS, Borrower, Reply
from corpproxy.accounting.quotas import Asked, Lent
from corpproxy.accounting.sharing import LENT, BucketKey

if TYPE_CHECKING:
    from corpproxy.net.counting import Counts
    from corpproxy.net.pacing import Pacer
    from corpproxy.policy.quota import Member

# What is asked for the first time, when nobody knows how fast it goes.
FIRST_OCTETS = 256 * 1024

# What is kept for short exchanges: as much as fifty pictures.
KEPT_OCTETS = 1024 * 1024

# A question that was not answered for so long is asked again.
AGAIN_SECONDS = 2.0

# Where all is done in one process, to ask is to be lent and to take it up as well: of so many in one slice.
ASKED_AT_ONCE = SLICE // 4

# What is held is asked for again after so long, so that it may be used on.
RENEW_SECONDS = TERM_SECONDS / 2


class Held:
    """
    What is held of one quota of one member.

    ``pace`` is what moved in the last second, in octets, ``recent`` what moved since the last question.
    ``keeps`` says that there is enough to keep something for short exchanges.
    """

    __slots__ = (
        "asked_at",
        "borrower",
        "calls_back",
        "frozen",
        "is_asked",
        "keeps",
        "looked_at",
        "moved",
        "pace",
        "recent",
        "stock",
        "telling",
        "told",
        "until",
        "wanted",
    )

    def __init__(self, stock: Stock, now: float) -> None:
        self.stock = stock
        self.borrower = Borrower()
        self.until = 0.0
        self.asked_at = 0.0
        self.is_asked = False
        # What the lender knows to have been moved and given back, and what it is being told.
        self.told = self.telling = (0, 0)
        # What moved since the pace was looked at.
        self.moved = 0
        self.looked_at = now
        self.pace = 0.0
        self.recent = 0
        self.wanted = 0
        self.keeps = True
        self.calls_back = False
        # What may not be used because the lender was not heard of for too long.
        self.frozen = 0.0

    def wants(self) -> int:
        """What it could use more, for the next second."""
        stock = self.stock
        debt = max(0, -int(stock.tokens))
        there, needs = max(int(stock.tokens), 0), int(self.pace) if stock.members else 0
        if self.is_short:
            needs = max(needs, self._kept)
        if stock.hungry:
            return debt + max(needs, FIRST_OCTETS if not self.borrower.granted else LEAST_OCTETS)
        return debt + max(0, needs - there)

    @property
    def is_kept(self) -> bool:
        """Whether something is kept for short exchanges."""
        return self.keeps and self.stock.guests > 0

    @property
    def is_short(self) -> bool:
        """Whether less than half of what is kept is left."""
        return self.is_kept and self.stock.tokens < self._kept / 2

    @property
    def _kept(self) -> int:
        return max(KEPT_OCTETS, self.recent, int(self.pace))

    def measure(self, now: float) -> None:
        """See how fast it is used."""
        seconds = max(now - self.looked_at, 0.05)
        self.pace = max(self.moved / seconds, self.pace / 2)
        if self.pace < 1:
            self.pace = 0.0
        self.moved, self.looked_at = 0, now

    def begin_anew(self, until: float) -> None:
        """The quota was made good: what was lent before counts no more, and what was not told counts now."""
        untold = self.borrower.moved - self.told[0]
        self.borrower = Borrower()
        self.borrower.move(max(0, untold))
        self.told = self.telling = (0, 0)
        # What was moved before anything was lent is still to be made up for.
        self.stock.tokens = 0.0 if self.until else min(0.0, self.stock.tokens)
        self.frozen = 0.0
        self.until = until
        self.keeps = True

    def give_back(self) -> None:
        """Give back what nobody here needs before the next question."""
        needs = self.pace / 2 if self.stock.members else 0
        octets = self.borrower.give_back(int(self.stock.tokens - needs))
        self.stock.tokens -= octets

    def take(self, lent: Lent) -> None:
        """Take up an answer."""
        borrower, self.told = self.borrower, self.telling
        before = borrower.granted
        borrower.take(Reply(lent.granted, lent.term), lent.asked_at, borrower.holds)
        more = borrower.granted - before
        self.stock.tokens += more + self.frozen
        self.stock.until = borrower.until
        self.frozen = 0.0
        self.calls_back = lent.calls_back
        if lent.calls_back or more < self.wanted:
            self.keeps = False
        self.wanted = 0


class Borrowing:
    """
    All that a process holds.

    ``send`` asks for more, and is answered by `take`.
    """

    def __init__(self, pacer: Pacer, clock: Any) -> None:
        self.send: Callable[[Sequence[Asked]], None] = lambda asked: None
        self._pacer = pacer
        self._clock = clock
        self._held: dict[Member, Held] = {}
        self._due: dict[Member, None] = {}
        self._call: IDelayedCall | None = None
        # Those that are looked at in the next turn; the others at their time.
        self._near: dict[Member, None] = {}
        self._times: list[tuple[float, Member]] = []

    def __len__(self) -> int:
        return len(self._held)

    def key(self, member: Member) -> BucketKey:
        """The bucket of what is lent to a member, for an exchange that stands below it from now on."""
        self._near[member] = None
        return self._hold(member).stock.key

    def invite(self, member: Member) -> Stock:
        """What is lent to a member, for somebody who takes of it without a claim until they are seen off."""
        held = self._hold(member)
        held.keeps = True
        held.stock.guests += 1
        return held.stock

    def see_off(self, stocks: Iterable[Stock]) -> None:
        """Who was invited to these takes of them no more."""
        for stock in stocks:
            stock.guests -= 1
            self._near[stock.key.limit, stock.key.whom] = None

    def stop(self) -> None:
        """Ask no more; what is held is given back, and what moved is told."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        now, asked = self._pacer.seconds(), []
        for member, held in self._held.items():
            held.borrower.give_back(held.borrower.holds)
            # Also where an answer is under way: what comes with it is nobody's.
            asked.append(Asked(*member, held.until, now, *held.borrower.ask(0)))
        self._held.clear()
        if asked:
            self.send(asked)

    def count(self, counts: Counts) -> Counts:
        """Octets moved; gives those that nobody lent."""
        others = {}
        for member, octets in counts.items():
            held = self._held.get(member)
            if held is None:
                others[member] = octets
                continue
            held.borrower.move(octets)
            held.moved += octets
            held.recent += octets
            if held.recent > KEPT_OCTETS / 2 or not held.is_kept or held.is_short:
                self._near[member] = None
        return others

    def lack(self, key: BucketKey) -> None:
        """Somebody waits for what is lent."""
        self._ask_soon((key.limit, key.whom))

    def turning(self, now: float) -> Iterator[None]:
        """Look a few times a second what is needed and what is not, a slice at each step."""
        pauses = Pauses()
        near = yield from self._looked_at_now(now, pauses)
        for member in near:
            held = self._held.get(member)
            if held is not None and self._look(member, held, now):
                self._near[member] = None
            if pauses.is_due():
                yield
        yield from forgetting(near, pauses)
        while self._due:
            self._ask_some(now)
            yield

    def take(self, lent: Iterable[Lent]) -> None:
        """What was asked for, or less."""
        is_waited_for = False
        for one in lent:
            held = self._held.get((one.limit, one.whom))
            if held is not None:
                self._take(held, one)
                if held.calls_back:
                    self._near[one.limit, one.whom] = None
                is_waited_for = is_waited_for or bool(held.stock.hungry and held.stock.tokens > 0)
        if is_waited_for:
            self._pacer.hasten()

    # Inside.

    def _hold(self, member: Member) -> Held:
        held = self._held.get(member)
        if held is None:
            stock = self._pacer.rates.stock(BucketKey(*member, LENT))
            held = self._held[member] = Held(stock, self._pacer.seconds())
            self._pacer.run()
            self._ask_soon(member)
        return held

    def _looked_at_now(self, now: float, pauses: Pauses) -> Generator[None, None, dict[Member, None]]:
        """Those that are near, and those whose time has come."""
        near, self._near = self._near, {}
        times = self._times
        while times and times[0][0] <= now:
            _, member = heappop(times)
            held = self._held.get(member)
            if held is not None and (held.is_asked or now - held.asked_at >= RENEW_SECONDS):
                near[member] = None
            if pauses.is_due():
                yield
        return near

    def _look(self, member: Member, held: Held, now: float) -> bool:
        """Look what is needed and what is not; gives whether that is another question in the next turn."""
        held.measure(now)
        stock, borrower = held.stock, held.borrower
        if stock.tokens > 0 and not borrower.may_move(now):
            held.frozen += stock.tokens
            stock.tokens = 0.0
        if held.calls_back or not (stock.members or held.is_kept):
            held.calls_back = False
            held.give_back()
        is_told = held.told == (borrower.moved, borrower.returned)
        if not (stock.members or stock.guests) and is_told and not borrower.holds:
            del self._held[member]
            self._pacer.rates.drop(stock.key)
            return False
        # What a few short exchanges moved is told with the next question, what was given back at once.
        is_little = held.recent <= KEPT_OCTETS / 2 and held.told[1] == borrower.returned
        waits = is_little and held.is_kept and not stock.members
        if not (is_told or waits) or held.wants() or now - held.asked_at >= RENEW_SECONDS:
            self._due[member] = None
        return held.is_asked or stock.members > 0 or not stock.guests

    def _ask_soon(self, member: Member) -> None:
        self._due[member] = None
        if self._call is None:
            self._call = self._clock.callLater(0, self._ask)

    def _ask(self) -> None:
        self._call = None
        self._ask_some(self._pacer.seconds())
        if self._due and self._call is None:
            self._call = self._clock.callLater(0, self._ask)

    def _ask_some(self, now: float) -> None:
        some = list(islice(self._due, ASKED_AT_ONCE))
        for member in some:
            del self._due[member]
        asked = [self._asked(member, now) for member in some if self._may_ask(member, now)]
        if asked:
            self.send(asked)

    def _may_ask(self, member: Member, now: float) -> bool:
        held = self._held.get(member)
        return held is not None and (not held.is_asked or now - held.asked_at >= AGAIN_SECONDS)

    def _asked(self, member: Member, now: float) -> Asked:
        held = self._held[member]
        held.asked_at, held.is_asked = now, True
        held.telling = held.borrower.moved, held.borrower.returned
        held.wanted = held.wants()
        held.recent = 0
        asking = held.borrower.ask(held.wanted)
        # An answer may not come; one that came is good for so long.
        heappush(self._times, (now + AGAIN_SECONDS, member))
        heappush(self._times, (now + RENEW_SECONDS, member))
        return Asked(*member, held.until, now, *asking)

    def _take(self, held: Held, lent: Lent) -> None:
        held.is_asked = False
        if lent.until != held.until:
            held.begin_anew(lent.until)
            self._ask_soon((lent.limit, lent.whom))
            return
        held.take(lent)
