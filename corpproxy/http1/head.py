"""
Heads of requests and responses, read strictly.

The grammar of RFC 9112, sections 2 to 5, stands here as one regular expression for each kind of head.  A
head that is whole in one piece, as nearly all are, is matched once and cut once.  Only when that fails does
the reader look closer (``_Prefix``): either the head is not there yet, or it is refused by the first thing
that is wrong with it.  What is wrong is found as early as the octets that came show it, so that a client
that speaks something else (HTTP/0.9, TLS, SSH) is not waited for; and it is the same thing however the
octets were cut into pieces.

Nothing is repaired: what a later hop could read otherwise is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from corpproxy import twins
from corpproxy.http1.fields import (
    SECTION,
    TOKEN,
    VALUE,
    Fields,
    Outline,
    check_lines,
    check_octets,
    is_token,
    lower_names,
)
from corpproxy.http1.limits import DEFAULT_LIMITS, METHOD_OCTETS, Limits
from corpproxy.http1.refusals import refuse
from corpproxy.http1.sections import LONGEST_OCTETS, Sections

# RFC 9112, section 3.  The target: visible ASCII without "#", for a fragment is no part of it.  Characters
# that RFC 3986 leaves out but browsers send in queries (|, ^, {, ", \) mean the same to every hop and pass;
# an authority has a grammar of its own in target.py.  One empty line before the head is skipped (section
# 2.2).
_TARGET = rb"[!\"$-~]"
_METHOD = TOKEN + b"{1,%d}+" % METHOD_OCTETS
_LINE = rb"(" + _METHOD + rb") (" + _TARGET + rb"++) HTTP/1\.([01])"
_REQUEST = re.compile(rb"(?:\r\n)?+" + _LINE + rb"\r\n" + SECTION).match
_REQUEST_LINE = re.compile(_LINE).fullmatch
# RFC 9112, section 4.  Status codes above 599 are invalid but sent (999), and passed on as RFC 9110,
# section 15 allows.  Some servers leave out the space before an empty reason; there is one way to read it.
_STATUS = rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: (" + VALUE + rb"*+))?+"
_RESPONSE = re.compile(_STATUS + rb"\r\n" + SECTION).match

_is_target = re.compile(_TARGET + rb"++").fullmatch
_is_version = re.compile(rb"HTTP/[0-9]\.[0-9]").fullmatch
_VERSIONS = {b"0": 10, b"1": 11}
_CRLF = b"\r\n"
_END = b"\r\n\r\n"


class RequestHead(NamedTuple):
    """
    A request head as it came.

    ``version`` is 10 or 11; ``octets`` is its length on the wire, with an empty line before it.
    """

    method: bytes
    target: bytes
    version: int
    fields: Fields
    octets: int


class ResponseHead(NamedTuple):
    """A response head as it came; ``version`` is 10 or 11, ``octets`` its length on the wire."""

    status: int
    reason: bytes
    version: int
    fields: Fields
    octets: int

    @property
    def is_interim(self) -> bool:
        """Whether a final response follows (1xx, but not 101, after which HTTP ends)."""
        return self.status < 200 and self.status != 101


if twins.heads is not None:
    _compiled_request, _compiled_response = twins.heads.request, twins.heads.response

_request_head: Callable[[Any], RequestHead] = partial(tuple.__new__, RequestHead)
_Head = TypeVar("_Head", RequestHead, ResponseHead)


class _Prefix:
    """
    The octets of a head that has not come whole, or is refused.

    Each octet is looked at once: ``_line_end`` is where the start-line ended, once it is known and
    sound; ``_sound`` is how far the octets after it have been checked.
    """

    __slots__ = ("_line_end", "_sound", "octets", "searched")

    def __init__(self) -> None:
        self.octets = bytearray()
        self.searched = 0
        self._line_end = -1
        self._sound = 0

    def end(self) -> int:
        """Where the head ends, its empty line included; -1 while it does not."""
        found = self.octets.find(_END, self.searched)
        self.searched = max(0, len(self.octets) - 3)
        return found + 4 if found >= 0 else -1

    def check(self, reader: HeadReader[_Head], end: int) -> None:
        """Refuse what can become no head; return when more octets may make it one."""
        limit = reader.limits.head_octets
        window = min(end if end >= 0 else len(self.octets), limit)
        if self._line_end < 0:
            self._check_line(reader, window)
        if self._line_end >= 0:
            check_octets(self.octets, max(self._sound - 1, self._line_end), window)
            self._sound = window
        if end > limit or (end < 0 and len(self.octets) > limit):
            raise refuse("head-too-large", f"the limit is {limit} octets")
        if end >= 0:
            check_lines(bytes(self.octets[self._line_end + 2 : end - 4]), reader.limits)

    def _check_line(self, reader: HeadReader[_Head], window: int) -> None:
        octets = self.octets
        begin = 2 if reader.skips_empty_line and octets.startswith(_CRLF) else 0
        longest = min(reader.line_octets, reader.limits.head_octets - begin)
        line_end = octets.find(_CRLF, max(begin, self._sound - 1), window)
        seen = line_end + 2 if line_end >= 0 else window
        check_octets(octets, max(begin, self._sound - 1), min(seen, begin + longest))
        self._sound = window
        if (line_end if line_end >= 0 else window) - begin > longest:
            reader.refuse_long_line(bytes(octets[begin : begin + longest]))
        if line_end >= 0:
            reader.check_line(bytes(octets[begin:line_end]))
            self._line_end = self._sound = line_end


class HeadReader(Generic[_Head]):
    """
    Reads one head after another from octets that come in any pieces.

    ``rest`` is what lay behind the head that was read last: content, or the next head.  ``held`` is a head
    that has not come whole, None between heads.
    """

    __slots__ = ("held", "limits", "line_octets", "rest")

    skips_empty_line = False

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.line_octets = limits.head_octets
        self.rest = b""
        self.held: _Prefix | None = None

    @property
    def pending(self) -> int:
        """How many octets of an unfinished head are held."""
        return len(self.held.octets) if self.held is not None else 0

    def take_rest(self) -> bytes:
        """Give what lay behind the head, once; feed it again for the next head."""
        rest, self.rest = self.rest, b""
        return rest

    def feed(self, data: bytes) -> _Head | None:
        """
        Take octets; give the head they end, or None while it is unfinished.

        A rest that nobody took goes first.  ProtocolError as soon as the octets can be no head; after
        that the connection is of no more use.
        """
        if self.rest:
            data = self.take_rest() + data
        if self.held is None:
            head = self._match(data)
            return head if head is not None else self._look(data)
        return self._look(data)

    def _look(self, data: bytes) -> _Head | None:
        held = self.held
        if held is None:
            if not data:
                return None
            held = self.held = _Prefix()
        held.octets += data
        end = held.end()
        if end < 0:
            held.check(self, end)
            return None
        whole = bytes(held.octets)
        head = self._match(whole)
        if head is None:
            held.check(self, end)
            # The grammar refused what the closer look finds nothing in: never pass that on.
            raise refuse(self._fault)
        self.held = None
        return head

    # What the two kinds of heads differ in.

    _fault = ""

    def _match(self, data: bytes) -> _Head | None:
        raise AssertionError("a reader reads one kind of head")

    def check_line(self, line: bytes) -> None:
        """Say what is wrong with a whole start-line, if anything is."""
        raise AssertionError("a reader reads one kind of head")

    def refuse_long_line(self, line: bytes) -> None:
        """Refuse a start-line that is longer than any may be."""
        raise refuse("head-too-large", f"the limit is {self.limits.head_octets} octets")


class _Answers(dict[bytes, ResponseHead]):
    """
    Heads of answers that came before, by their octets: a server says the same all second long.

    Those that set cookies are for one person, and never come again.
    """

    BOUND = 1024
    LONGEST = 2048

    def keep(self, octets: bytes, head: ResponseHead) -> None:
        """Remember a sound head, unless it is long or for one person."""
        if len(octets) <= self.LONGEST and b"set-cookie" not in octets.lower():
            if len(self) >= self.BOUND:
                self.clear()
            self[octets] = head


_answers = _Answers()


class RequestReader(HeadReader[RequestHead]):
    """Reads request heads (RFC 9112, section 3)."""

    __slots__ = ("_sections",)
    skips_empty_line = True
    _fault = "bad-request-line"

    def __init__(self, limits: Limits = DEFAULT_LIMITS, sections: Sections | None = None) -> None:
        """``sections`` is the memory of all who read by the same limits; without, the reader has its own."""
        super().__init__(limits)
        self.line_octets = METHOD_OCTETS + limits.target_octets + len("  HTTP/1.1")
        self._sections = sections if sections is not None else Sections()

    if twins.heads is not None:

        def feed(self, data: bytes) -> RequestHead | None:
            """Take octets as ever; what came whole and is plainly sound is read by the compiled twin."""
            if self.held is None and not self.rest:
                limits = self.limits
                head: RequestHead | None = _compiled_request(
                    self, data, self._sections, limits.head_octets, limits.target_octets, limits.fields
                )
                if head is not None:
                    return head
            return super().feed(data)

    def _match(self, data: bytes) -> RequestHead | None:
        line_end = data.find(_CRLF)
        section_end = data.find(_END, line_end + 2)
        if section_end > 0:
            section = data[line_end + 2 : section_end]
            outline = self._sections.find(section)
            if outline is not None:
                # Its fields came before, and were sound and few enough.
                match = _REQUEST_LINE(data, 0, line_end)
                end = section_end + 4
                limits = self.limits
                if match is None or end > limits.head_octets:
                    return None
                method, target, minor = match.groups()
                if len(target) > limits.target_octets:
                    return None
                self.rest = data[end:]
                # As the class would make it, without its Python.
                return _request_head((method, target, _VERSIONS[minor], Fields(section, outline), end))
        return self._first_match(data)

    def _first_match(self, data: bytes) -> RequestHead | None:
        match = _REQUEST(data)
        if match is None:
            return None
        method, target, minor = match.groups()
        end = match.end()
        fields = Fields(data[match.end(3) + 2 : end - 4])
        limits = self.limits
        if end > limits.head_octets or len(target) > limits.target_octets:
            return None
        if fields.outline.lines > limits.fields:
            return None
        self._sections.keep(fields.section, fields.outline)
        self.rest = data[end:]
        return _request_head((method, target, _VERSIONS[minor], fields, end))

    def check_line(self, line: bytes) -> None:
        """Say what is wrong with a whole request line, if anything is."""
        if not line:
            raise refuse("empty-lines")
        parts = line.split(b" ")
        if len(parts) == 2 and is_token(parts[0]) and _is_target(parts[1]):
            raise refuse("no-version")
        if len(parts) != 3 or not all(parts) or b"\t" in line:
            raise refuse("bad-request-line")
        method, target, version = parts
        if len(method) > METHOD_OCTETS:
            raise refuse("method-too-long")
        if not is_token(method):
            raise refuse("bad-method")
        if not _is_version(version):
            raise refuse("bad-version")
        if version not in (b"HTTP/1.1", b"HTTP/1.0"):
            # RFC 9110, section 2.5 would have 1.2 to 1.9 read as 1.1.  None of them exists or will, nothing
            # real sends them, and what a hop behind us makes of one is anybody's guess.
            raise refuse("unknown-version", version.decode("ascii"))
        if len(target) > self.limits.target_octets:
            raise refuse("target-too-long", f"the limit is {self.limits.target_octets} octets")
        if not _is_target(target):
            raise refuse("bad-target-octet")

    def refuse_long_line(self, line: bytes) -> None:
        """Refuse a request line for its method or its target (RFC 9112, section 3)."""
        if b" " not in line[: METHOD_OCTETS + 1]:
            raise refuse("method-too-long")
        raise refuse("target-too-long", f"the limit is {self.limits.target_octets} octets")


class ResponseReader(HeadReader[ResponseHead]):
    """Reads response heads (RFC 9112, section 4)."""

    __slots__ = ()
    _fault = "bad-status-line"

    if twins.heads is not None:

        def feed(self, data: bytes) -> ResponseHead | None:
            """Take octets as ever; what came whole and is plainly sound is read by the compiled twin."""
            if self.held is None and not self.rest:
                limits = self.limits
                head: ResponseHead | None = _compiled_response(self, data, limits.head_octets, limits.fields)
                if head is not None:
                    return head
            return super().feed(data)

    def _match(self, data: bytes) -> ResponseHead | None:
        section_end = data.find(_END)
        # A head that has not ended is none, however much of it is like one that came before.
        head = _answers.get(data[:section_end]) if section_end >= 0 else None
        if head is None:
            match = _RESPONSE(data)
            if match is None:
                return None
            minor, status, reason = match.groups(b"")
            end = match.end()
            fields = Fields(data[data.index(_CRLF) + 2 : end - 4])
            head = ResponseHead(int(status), reason, _VERSIONS[minor], fields, end)
            _answers.keep(data[: end - 4], head)
        limits, end = self.limits, head.octets
        if end > limits.head_octets or head.fields.outline.lines > limits.fields:
            return None
        self.rest = data[end:]
        return head

    def check_line(self, line: bytes) -> None:
        """Say what is wrong with a whole status line, if anything is."""
        if not _RESPONSE(line + _END):
            raise refuse("bad-status-line")


if twins.heads is not None:
    twins.heads.set_twins(
        RequestHead,
        ResponseHead,
        Fields,
        Outline(0),  # the one that others are copied from
        lower_names,
        _answers,
        RequestReader,
        ResponseReader,
        Sections,
        LONGEST_OCTETS,
    )
