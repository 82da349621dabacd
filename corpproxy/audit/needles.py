"""
Which octets the line of a record must have to be one that is wanted.

Looking for octets in a block of lines costs a hundredth of reading the lines as records; so only lines with
all the needles of a query are read, and the query itself then says whether they are wanted.  A line has its
texts as :func:`corpproxy.audit.record.encode` writes them: without spaces, and in UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from corpproxy.audit.query import RecordQuery

_MEMBERS = (
    "user", "client", "whom", "grant", "exception", "would_block", "method", "failure", "listener", "deed",
    "decision", "result",
)  # fmt: skip
_AT = b'"at":"'
# The version, the reference and the kind stand before it, and are short.
_AT_WITHIN = 200


@dataclass(frozen=True, slots=True)
class Needles:
    """
    What must stand in a line.

    ``texts`` must all be there, the one that is rarest comes first; ``since`` and ``until`` bound the moment.
    """

    texts: tuple[bytes, ...]
    since: bytes
    until: bytes

    def lines(self, octets: bytes) -> Iterator[bytes]:
        """Give those of whole lines that have it all, in their order and with their ends."""
        if self.texts:
            found = self._with_texts(octets)
        else:
            found = iter(octets.splitlines(keepends=True) if b"\r" not in octets else _split(octets))
        if self.since or self.until:
            return (line for line in found if self._is_in_time(line))
        return found

    def _with_texts(self, octets: bytes) -> Iterator[bytes]:
        first, *others = self.texts
        at = octets.find(first)
        while at >= 0:
            begin = octets.rfind(b"\n", 0, at) + 1
            end = octets.find(b"\n", at) + 1
            line = octets[begin:end]
            if all(text in line for text in others):
                yield line
            at = octets.find(first, end)

    def _is_in_time(self, line: bytes) -> bool:
        at = line.find(_AT, 0, _AT_WITHIN) + len(_AT)
        moment = line[at : at + 24]
        return self.since <= moment and (not self.until or moment < self.until)


def needles_of(query: RecordQuery) -> Needles:
    """Say what the lines of wanted records have."""
    texts = [_json(query.reference)] if query.reference else []
    for name in _MEMBERS:
        if text := getattr(query, name):
            texts.append(b'"%b":%b' % (name.encode(), _json(text)))
    if query.host:
        # Also as the end of a longer name.
        texts.append(_json(query.host)[1:])
    texts += [_json(text) for text in (query.rule, query.group, query.category) if text]
    if query.deeds:
        texts.append(b'"kind":"deed"')
    if query.status:
        texts.append(b'"status":' + query.status.encode())
    return Needles(tuple(texts), query.since.encode(), query.until.encode())


def _json(text: str) -> bytes:
    return msgspec.json.encode(text)


def _split(octets: bytes) -> Iterator[bytes]:
    """Lines that end with line feeds alone: a damaged line may have other ends of lines in it."""
    for line in octets.split(b"\n")[:-1]:
        yield line + b"\n"
