"""
What the record tells of rules and exceptions: how many exchanges each of them decided.

Only the few fields that tell it are read of a line, which makes a record of a million exchanges a matter of
seconds.  Rules go by their names: a rule that was renamed since is another one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from corpproxy.audit.record import FORMAT, UnreadableRecord
from corpproxy.audit.results import Kind


class _Line(msgspec.Struct, gc=False, tag_field="v", tag=FORMAT):
    kind: str
    at: str
    rule: str = ""
    would_block: str = ""
    exception: str = ""
    ended_rule: str = ""


_DECODE = msgspec.json.Decoder(_Line).decode

# An exchange is counted when it is over; one that is still open has been decided, too.  Other kinds of
# records are of no exchange.
_OVER = frozenset({Kind.EXCHANGE.value, Kind.CLOSING.value})
_OF_EXCHANGES = _OVER | {Kind.OPENING.value, Kind.PROGRESS.value}


@dataclass(slots=True)
class Reached:
    """
    Exchanges since a moment, in all and by what decided them.

    A rule, or an exception, that stands here with 0 has decided exchanges that are still open.  A rule that
    ended a tunnel, which another one had let through, has decided it, too.
    """

    since: str
    exchanges: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    rehearsed: Counter[str] = field(default_factory=Counter)
    exceptions: Counter[str] = field(default_factory=Counter)

    def take(self, line: bytes) -> None:
        """
        Count what a line of the record tells.

        :raises UnreadableRecord: when it is no record of this format.
        """
        try:
            record = _DECODE(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableRecord(str(error)) from error
        if record.at < self.since or record.kind not in _OF_EXCHANGES:
            return
        number = record.kind in _OVER
        self.exchanges += number
        if record.rule:
            self.rules[record.rule] += number
        if record.ended_rule:
            self.rules[record.ended_rule] += number
        if record.would_block:
            self.rehearsed[record.would_block] += number
        if record.exception:
            self.exceptions[record.exception] += number
