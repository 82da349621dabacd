"""
The last refusals of each person, in memory: what the portal shows to those whom browsers tell nothing.

A browser shows no page of ours when a tunnel (https) is refused.  The person finds the refusal on the
portal instead, and there confirms a warning too.  Only the own ones are shown: those of the name that
signed in, or of the client address where nobody did.

Many refusals are not seen by anybody: one page brings thirty blocked trackers, and again at each visit.  What
repeats (same host, rule and effect) is one entry with a count.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from corpproxy.audit.erasure import Erasure
from corpproxy.identity.grants import ADDRESS, grantee
from corpproxy.identity.model import Identity
from corpproxy.pages.confirm import Warned, warned
from corpproxy.pages.occasion import Occasion
from corpproxy.pages.sheet import Tone
from corpproxy.pages.shown import sentence, shown
from corpproxy.policy.model import Decision, Effect, Spent

# What one person has a use for, and what a large site holds in some 30 MB.
MAX_ENTRIES = 30
MAX_PEOPLE = 5_000
MAX_ALL_ENTRIES = 30_000

# A reference on a page that is still open must lead here although the same was refused again since.
MAX_REFERENCES = 12

# Refusals are personal: after a day only the record has them, under the rules for records.
LIFE_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class PastRefusal:
    """
    One refusal as the portal shows it; ``warning`` is set where the person may confirm it.

    ``at`` and ``reference`` are those of the last time; ``count`` says how often since the first.
    ``may_be_overridden`` says that a grant could go past what refused it.  ``spent`` is the quota that
    was used up.
    """

    reference: str
    at: float
    host: str
    uri: str
    effect: Effect
    rule: str
    reason: str
    say: str
    category: str
    policy: str
    warning: Warned | None = None
    count: int = 1
    may_be_overridden: bool = False
    spent: Spent | None = None

    @property
    def tone(self) -> Tone:
        """How a page speaks of it."""
        return {Effect.BLOCK: Tone.STOP, Effect.WARN: Tone.WARN}.get(self.effect, Tone.PLAIN)


def is_erased(erasure: Erasure, who: str, past: PastRefusal) -> bool:
    """Whether a refusal of ``who`` is one that is to be forgotten."""
    client = who.removeprefix(ADDRESS) if who.startswith(ADDRESS) else ""
    return erasure.concerns(user="" if client else who, client=client, host=past.host, at=past.at)


def _nobody(who: str, past: PastRefusal) -> None:
    """There are no other processes that would show it."""


@dataclass(slots=True)
class _Entry:
    last: PastRefusal
    references: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_REFERENCES))


_Key = tuple[str, str, Effect]
_Mine = OrderedDict[_Key, _Entry]


class Refusals:
    """
    Keeps the last refusals of each person, within bounds; the oldest go first.

    ``tell`` is called with each that is added here, for other processes that show them.
    """

    def __init__(
        self,
        max_entries: int = MAX_ENTRIES,
        max_people: int = MAX_PEOPLE,
        max_all: int = MAX_ALL_ENTRIES,
        life_seconds: float = LIFE_SECONDS,
    ) -> None:
        self._max_entries = max_entries
        self._max_people = max_people
        self._max_all = max_all
        self._life_seconds = life_seconds
        self.tell: Callable[[str, PastRefusal], None] = _nobody
        self._people: OrderedDict[str, _Mine] = OrderedDict()
        self._all = 0

    def __len__(self) -> int:
        """How many entries are held, of all people together."""
        return self._all

    def add(self, decision: Decision, occasion: Occasion) -> None:
        """Keep a refusal; what is no refusal, or has no destination, is left out."""
        if decision.effect is Effect.ALLOW or occasion.destination is None:
            return
        who = grantee(occasion.identity, occasion.client)
        past = _past(decision, occasion)
        self.keep(who, past)
        self.tell(who, past)

    def keep(self, who: str, past: PastRefusal, times: int = 1) -> None:
        """Keep a refusal of ``who``, which came so many times; another process may have made it."""
        mine = self._people.setdefault(who, OrderedDict())
        self._people.move_to_end(who)
        key = (past.host, past.rule, past.effect)
        known = mine.pop(key, None)
        if known is None:
            self._all += 1
            known = _Entry(replace(past, count=times) if times > 1 else past)
        else:
            known.last = replace(past, count=known.last.count + times)
        known.references.append(past.reference)
        mine[key] = known
        self._trim(mine)

    def of(self, identity: Identity, client: str, now: float) -> tuple[PastRefusal, ...]:
        """Give the refusals of one person, the last one first."""
        return tuple(entry.last for entry in self._living(identity, client, now))

    def get(self, reference: str, identity: Identity, client: str, now: float) -> PastRefusal | None:
        """Give the refusal with a reference, if it is one of this person's own."""
        found = (entry.last for entry in self._living(identity, client, now) if reference in entry.references)
        return next(found, None)

    def forget(self, erasure: Erasure) -> None:
        """Forget the refusals that an erasure is about."""
        for who, mine in list(self._people.items()):
            gone = [key for key, entry in mine.items() if is_erased(erasure, who, entry.last)]
            for key in gone:
                del mine[key]
            self._all -= len(gone)
            if not mine:
                del self._people[who]

    def _living(self, identity: Identity, client: str, now: float) -> Iterator[_Entry]:
        mine: _Mine = self._people.get(grantee(identity, client), OrderedDict())
        return (entry for entry in reversed(mine.values()) if entry.last.at > now - self._life_seconds)

    def _trim(self, mine: _Mine) -> None:
        if len(mine) > self._max_entries:
            mine.popitem(last=False)
            self._all -= 1
        while len(self._people) > self._max_people or (self._all > self._max_all and len(self._people) > 1):
            _, dropped = self._people.popitem(last=False)
            self._all -= len(dropped)


def _past(decision: Decision, occasion: Occasion) -> PastRefusal:
    destination = occasion.destination
    assert destination is not None
    warning = None
    if decision.effect is Effect.WARN:
        warning = warned(
            occasion.identity, occasion.client, destination, decision.rule, decision.warn_seconds
        )
    return PastRefusal(
        reference=occasion.reference,
        at=occasion.at,
        host=occasion.host,
        uri=occasion.uri,
        effect=decision.effect,
        rule=decision.rule,
        reason=shown(decision.reason, 300),
        say=sentence(decision.say),
        category=decision.category,
        policy=occasion.policy,
        warning=warning,
        may_be_overridden=decision.may_be_overridden and decision.effect is Effect.BLOCK,
        spent=decision.spent,
    )
