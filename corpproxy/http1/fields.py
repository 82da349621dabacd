"""
The field lines of a message: kept as they came, found by name.

A head is checked as a whole by one regular expression (``head.py``); what arrives here is known to be
sound.  The lines stay untouched bytes, because most of them are only passed on; the
names are taken off in lower case, because hop-by-hop fields must be found among them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from corpproxy import twins
from corpproxy.http1.limits import Limits
from corpproxy.http1.refusals import refuse

# RFC 9110, section 5.6.2.
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
# RFC 9110, section 5.5: HTAB, SP, visible characters, obs-text; no CR, LF, NUL and other controls.  Space
# around the value is part of the class.
VALUE = rb"[\t -~\x80-\xff]"
# Possessive throughout: a head is walked once and never twice (linear time whatever comes).
SECTION = rb"(?:" + TOKEN + rb"++:" + VALUE + rb"*+\r\n)*+\r\n"

is_token = re.compile(TOKEN + rb"++").fullmatch
is_value = re.compile(VALUE + rb"*+").fullmatch
# A control character, a CR that is followed by something else than LF, an LF that is not behind CR.
find_bad_octet = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?=[^\n])|(?<!\r)\n").search

_BAD_OCTET_CODES = {0x0D: "bare-cr", 0x0A: "bare-lf"}
_SPACE = b" \t"
# The first octet of a TLS connection (RFC 8446, section 5.1): a proxy address given as https://.
_TLS_HANDSHAKE = 0x16


def _strip_space(value: bytes) -> bytes:
    return value.strip(_SPACE)


class _LowerNames(dict[bytes, bytes]):
    """
    Field names in lower case, remembered: clients write the same few dozen names all day.

    It is bounded, and holds no long names, so that made-up names cannot fill memory.
    """

    BOUND = 2048
    LONGEST = 64

    def __missing__(self, name: bytes) -> bytes:
        lower = name.lower()
        if len(name) <= self.LONGEST:
            if len(self) >= self.BOUND:
                self.clear()
            self[name] = lower
        return lower


lower_names = _LowerNames()

# Three lines are asked for of a section that came for the first time: ``native/section.c`` finds them among
# the octets.
_value: Callable[[bytes, bytes], bytes | None] | None = None if twins.section is None else twins.section.value


# Notes on one section: it is sent to one host, seldom to two.
MAX_NOTES = 16


class _Nothing(dict[Any, Any]):
    """Stays empty: one for all sections, of which each would have what another one wrote."""

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("nothing is kept here: what is known goes through know and note of an outline")


# What is known of a section of which nothing is.
NOTHING: dict[Any, Any] = _Nothing()


class Outline:
    """
    What is known of a section without its octets, kept for when the same section comes again.

    ``lines`` is their number.  ``is_plain`` is what `corpproxy.http1.steering.is_plain` found, None before it
    was asked; ``closes`` says of a plain one that nothing follows the request on its connection.
    ``notes`` is where those who read the fields keep what they made of them, ``known`` where an exchange
    keeps what it found out about its like, and ``came`` the number of the first one that came, 0 before one
    did.  ``agent`` are the fields that an open tunnel keeps of it, None before one did.  No value that is a
    secret may stand in any of them: this outlives the exchange.
    """

    __slots__ = ("agent", "came", "closes", "is_plain", "known", "lines", "notes")

    def __init__(self, lines: int) -> None:
        self.lines = lines
        self.is_plain: bool | None = None
        self.closes = False
        # Most sections come once: a dictionary of its own has one of which something is known, or noted.
        self.notes = self.known = NOTHING
        self.agent: Fields | None = None
        self.came = 0

    def know(self, key: object, what: object, most: int) -> None:
        """Keep what is known under a key; there is room for so many."""
        if self.known is NOTHING or len(self.known) >= most:
            self.known = {}
        self.known[key] = what

    def note(self, key: object, what: object) -> None:
        """Keep what was made of the fields; there is room for some notes."""
        if self.notes is NOTHING or len(self.notes) >= MAX_NOTES:
            self.notes = {}
        self.notes[key] = what


class Fields:
    """
    The field lines of one section, in their order.

    ``lines`` are the lines as they came, without CR LF; ``names`` their names in lower case, at the
    same places; ``index`` maps a name to its (last) line.  None of them may be changed.  They are taken off
    ``section`` when somebody first asks for one: of a section that came before, all may be known by its
    ``outline``.
    """

    __slots__ = ("_index", "_lines", "_names", "outline", "section")

    _lines: list[bytes]
    _names: list[bytes]

    def __init__(self, section: bytes, outline: Outline | None = None) -> None:
        """Take a sound section: its lines with CR LF between them and none behind the last."""
        self.section = section
        self.outline = outline or Outline(section.count(b"\r\n") + 1 if section else 0)
        self._index: dict[bytes, bytes] | None = None

    @property
    def lines(self) -> list[bytes]:
        """The lines, in their order."""
        if self._index is None:
            self._take_off()
        return self._lines

    @property
    def names(self) -> list[bytes]:
        """The name of each line."""
        if self._index is None:
            self._take_off()
        return self._names

    @property
    def index(self) -> dict[bytes, bytes]:
        """The line of each name."""
        return self._index if self._index is not None else self._take_off()

    def _take_off(self) -> dict[bytes, bytes]:
        self._lines, self._names, self._index = taken = take_off(self.section)
        return taken[2]

    @classmethod
    def of(cls, pairs: Iterable[tuple[bytes, bytes]]) -> Fields:
        """Make fields from names and values of our own; ValueError where one would break the section."""
        return cls(b"\r\n".join(field_line(name, value) for name, value in pairs))

    def __contains__(self, name: bytes) -> bool:
        return name in self.index

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over names as written and values without the space around them."""
        for line in self.lines:
            name, _, value = line.partition(b":")
            yield name, value.strip(_SPACE)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self.lines == other.lines

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        # Values may be secrets; they stay out of tracebacks and logs.
        return f"<Fields {b', '.join(self.names).decode('latin-1')}>"

    def get(self, name: bytes) -> bytes | None:
        """
        The value of the first field of that (lower-case) name, without space around it; None without one.
        """
        if self._index is None and _value is not None:
            return _value(self.section, name)
        line = self.index.get(name)
        if line is None:
            return None
        if len(self.index) != len(self.names):  # some name is repeated, perhaps this one
            line = self.lines[self.names.index(name)]
        return line[len(name) + 1 :].strip(_SPACE)

    def all(self, name: bytes) -> list[bytes]:
        """The values of all fields of that (lower-case) name, in their order."""
        line = self.index.get(name)
        if line is None:
            return []
        start = len(name) + 1
        if len(self.index) == len(self.names):  # no name is repeated
            return [line[start:].strip(_SPACE)]
        pairs = zip(self.names, self.lines, strict=True)
        return [line[start:].strip(_SPACE) for other, line in pairs if other == name]

    def tokens(self, name: bytes) -> list[bytes]:
        """
        The members of a list of tokens, over all fields of that name, in lower case.

        Empty members are left out (RFC 9110, section 5.6.1.2).
        """
        if name not in self.index:
            return []
        members = b",".join(self.all(name)).lower().split(b",")
        return [member for member in map(_strip_space, members) if member]


def take_off_in_python(section: bytes) -> tuple[list[bytes], list[bytes], dict[bytes, bytes]]:
    """Give the lines of a section, their names in lower case, and the (last) line of each name."""
    lines = section.split(b"\r\n") if section else []
    names = [lower_names[line.partition(b":")[0]] for line in lines]
    return lines, names, dict(zip(names, lines, strict=True))


take_off = take_off_in_python if twins.heads is None else twins.heads.take_off


def field_line(name: bytes, value: bytes) -> bytes:
    """Write one field line without CR LF; ValueError where name or value would break the head."""
    if not is_token(name) or not is_value(value):
        raise ValueError(f"not a field: {name!r}: {value!r}")
    return b"%b: %b" % (name, value)


def check_octets(octets: bytes | bytearray, start: int, end: int) -> None:
    """
    Refuse control characters, bare CR and bare LF between two places; a CR at the very end may still go on.
    """
    found = find_bad_octet(octets, start, end)
    if found is not None:
        octet = octets[found.start()]
        detail = f"octet {found.start()} is 0x{octet:02x}"
        if octet == _TLS_HANDSHAKE and not found.start():
            detail = "this is TLS; the way to the proxy is plain HTTP: write http:// before its address"
        raise refuse(_BAD_OCTET_CODES.get(octet, "bad-octet"), detail)


def check_lines(section: bytes, limits: Limits) -> None:
    """
    Say what is wrong with a section whose octets are sound, if anything is.

    ``section`` has CR LF between its lines and none behind the last.
    """
    lines = section.split(b"\r\n") if section else []
    for number, line in enumerate(lines, 1):
        code = _line_fault(line, first=number == 1)
        if code:
            raise refuse(code, f"field line {number}")
    if len(lines) > limits.fields:
        raise refuse("too-many-fields", f"{len(lines)}, the limit is {limits.fields}")


def _line_fault(line: bytes, *, first: bool) -> str:
    name, colon, _ = line.partition(b":")
    if line[:1] in (b" ", b"\t"):
        return "space-before-fields" if first else "obs-fold"
    if not colon:
        return "no-colon"
    if not name:
        return "empty-field-name"
    if name[-1:] in (b" ", b"\t"):
        return "space-before-colon"
    return "" if is_token(name) else "bad-field-name"
