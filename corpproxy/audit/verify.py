"""
Verifying: whether the records of a worker are what was written, and where they are not.

A chain is walked record by record.  Where the hash does not fit, the numbers say what happened, those of the
record itself and of the one that follows: a gap is what was dropped, a number that is taken is what was
inserted, and where the numbers go on it is the contents that were changed.  After a fault the walk goes on
from there, so that one fault is told once and those behind it are found too.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from corpproxy.audit.proof import Proven, beginning
from corpproxy.counted import counted


class Fault(enum.StrEnum):
    """What is wrong."""

    EDITED = "edited"
    DROPPED = "dropped"
    INSERTED = "inserted"
    SWAPPED = "swapped"
    TRUNCATED = "truncated"
    FOREIGN = "from another chain"
    UNSIGNED = "not signed"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One fault and its place; ``line`` counts from 1, and 0 is the whole file."""

    file: str
    line: int
    fault: Fault
    sentence: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.fault}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Link:
    """
    One line of a chain.

    ``file`` is the name that its segment was begun under.  ``proven`` is None where the line proves nothing.
    """

    file: str
    line: int
    proven: Proven | None
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Tail:
    """Records at the end of a chain that no checkpoint covers; the last one and its place."""

    file: str
    line: int
    count: int


@dataclass(slots=True)
class Walk:
    """
    A walk along all segments of one worker, the oldest first.

    ``signed`` are the hashes at which checkpoints say that the chain was; ``follows`` those with which what
    retention left may begin.

    :ivar findings: what is wrong.
    :ivar found: the hashes of ``signed`` that were met.
    :ivar tails: what stands behind the last of them in each chain.
    :ivar suspects: links that belong nowhere here.
    """

    signed: frozenset[bytes]
    follows: frozenset[bytes] = frozenset()
    findings: list[Finding] = field(default_factory=list)
    found: set[bytes] = field(default_factory=set)
    suspects: list[Link] = field(default_factory=list)
    records: int = 0
    erased: int = 0
    unsigned: int = 0
    tails: list[Tail] = field(default_factory=list)
    # The last record that belongs, its number and hash; None is a hash that nobody can know any more.
    _last: Link | None = None
    _number: int = 0
    _digest: bytes | None = None
    _early: dict[int, Link] = field(default_factory=dict)
    _gaps: list[range] = field(default_factory=list)

    def take(self, links: Iterable[Link]) -> None:
        """Walk along them to the end."""
        before: Link | None = None
        for link in links:
            if before is not None:
                self._step(before, link)
            before = link
        if before is not None:
            self._step(before, None)
        self._end_chain()

    def _end_chain(self) -> None:
        """What follows is another chain, or nothing."""
        for link in self._early.values():
            self._reject(link)
        self._early.clear()
        self._gaps.clear()
        if self.unsigned and self._last is not None:
            self.tails.append(Tail(self._last.file, self._last.line, self.unsigned))
        self.unsigned = 0

    def _step(self, link: Link, following: Link | None) -> None:
        self.records += 1
        proven = link.proven
        if proven is None:
            self._find(link, Fault.EDITED, "the line has no proof that can be read")
            self._accept(link, self._number + 1, None)
            return
        self.erased += bool(proven.erased)
        if link.line == 1 and (proven.number == 1 or self._last is None):
            self._begin(link, proven)
        elif self._fits(link):
            self._accept(link, proven.number, link.digest)
        elif proven.number == self._number + 1:
            self._other_hash(link, proven, following)
        elif following is not None and self._fits(following):
            # It may belong further on: then the two were swapped.
            self._early[proven.number] = link
        elif _number_of(following) == self._number + 2:
            self._find(link, Fault.EDITED, "its number is not the one that it was chained with")
            self._accept(link, self._number + 1, None)
        elif proven.number > self._number:
            self._gap(link, proven)
        elif any(proven.number in gap for gap in self._gaps):
            self._find(link, Fault.SWAPPED, f"record {proven.number} stands too far back")
        else:
            self._reject(link)

    def _begin(self, link: Link, proven: Proven) -> None:
        """The first record of a chain, or of what retention left of one."""
        if proven.number == 1:
            self._end_chain()
            if proven.before != beginning(link.file).digest:
                self._find(link, Fault.FOREIGN, "its chain did not begin in a segment of this name")
        elif proven.before not in self.follows:
            said = f"{_gone(proven.number - 1)}, and no checkpoint tells of a deletion"
            self._find(link, Fault.DROPPED, said)
        self._accept(link, proven.number, link.digest)

    def _fits(self, link: Link) -> bool:
        proven = link.proven
        if proven is None or proven.number != self._number + 1:
            return False
        return self._digest is None or proven.before == self._digest

    def _other_hash(self, link: Link, proven: Proven, following: Link | None) -> None:
        """The number goes on, the hash does not."""
        if following is not None and self._fits(following):
            self._reject(link)
            return
        after = following.proven if following is not None else None
        if self._last is not None and (after is None or after.before == link.digest):
            self._find(self._last, Fault.EDITED, "the record behind it was chained to something else")
            self._accept(link, proven.number, link.digest)
        else:
            self._find(link, Fault.EDITED, "it is chained to something else than the record before it")
            self._accept(link, proven.number, None)

    def _gap(self, link: Link, proven: Proven) -> None:
        gone = range(self._number + 1, proven.number)
        self._gaps.append(gone)
        self._find(link, Fault.DROPPED, _gone(len(gone)))
        self._accept(link, proven.number, link.digest)

    def _accept(self, link: Link, number: int, digest: bytes | None) -> None:
        self._last, self._number, self._digest = link, number, digest
        self.unsigned += 1
        if digest is not None and digest in self.signed:
            self.found.add(digest)
            self.unsigned = 0
        early = self._early.pop(number + 1, None) if self._early else None
        if early is None or early.proven is None:
            return
        if self._fits(early):
            self._find(early, Fault.SWAPPED, f"record {number + 1} stands before record {number}")
            self._accept(early, number + 1, early.digest)
        else:
            self._reject(early)

    def _reject(self, link: Link) -> None:
        self.suspects.append(link)
        number = _number_of(link)
        self._find(link, Fault.INSERTED, f"record {number} of this chain is another one")

    def _find(self, link: Link, fault: Fault, sentence: str) -> None:
        self.findings.append(Finding(link.file, link.line, fault, sentence))


def _number_of(link: Link | None) -> int:
    return link.proven.number if link is not None and link.proven is not None else 0


def _gone(count: int) -> str:
    return f"{counted(count, 'record')} before it {'is' if count == 1 else 'are'} gone"
