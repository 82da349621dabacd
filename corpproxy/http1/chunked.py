"""
The chunked coding, read strictly (RFC 9112, section 7.1).

A chunk line is matched by one regular expression.  Extensions are checked, bounded and dropped: nobody is
known to need one, and readers that disagree about them have been used to smuggle requests.
Octets are held only while a line or the trailer section is unfinished.
"""

from __future__ import annotations

import enum
import re

from corpproxy.http1.fields import SECTION, TOKEN, Fields, check_lines, check_octets
from corpproxy.http1.limits import Limits
from corpproxy.http1.reading import BodyReader
from corpproxy.http1.refusals import refuse

_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_EXTENSION = rb"[ \t]*+;[ \t]*+" + TOKEN + rb"++(?:[ \t]*+=[ \t]*+(?:" + TOKEN + rb"++|" + _QUOTED + rb"))?+"
_match_line = re.compile(rb"([0-9A-Fa-f]{1,16}+)((?:" + _EXTENSION + rb")*+)\r\n").match
# How any chunk line begins: digits, and then nothing yet, or what may stand behind them.
_begins_line = re.compile(rb"[0-9A-Fa-f]{1,16}+(?:\Z|[ \t;\r])").match
_match_section = re.compile(SECTION).match
_CRLF = b"\r\n"


class _At(enum.Enum):
    """What the next octet belongs to."""

    LINE = enum.auto()
    CONTENT = enum.auto()
    CONTENT_END = enum.auto()
    TRAILERS = enum.auto()
    END = enum.auto()


class ChunkedReader(BodyReader):
    """Reads chunks, gives their content, keeps the trailers."""

    __slots__ = (
        "_at",
        "_content",
        "_content_octets",
        "_extension_octets",
        "_held",
        "_left",
        "_limits",
        "_sound",
    )

    def __init__(self, limits: Limits, content_octets: int = 0) -> None:
        super().__init__()
        self._limits = limits
        self._content_octets = content_octets
        self._content = 0
        self._extension_octets = 0
        self._at = _At.LINE
        self._left = 0
        self._held = b""
        # Of a trailer section that is held: how much was found sound.
        self._sound = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take octets, give the content of the chunks in them, a piece for a chunk or a part of one."""
        if self._held:
            data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        position, size = 0, len(data)
        while position < size:
            at = self._at
            if at is _At.CONTENT:
                end = position + self._left
                piece = data[position:end]  # the same object where it is the whole
                pieces.append(piece)
                self._left -= len(piece)
                position += len(piece)
                if not self._left:
                    self._at = _At.CONTENT_END
                continue
            if at is _At.LINE:
                next_position = self._read_line(data, position)
            elif at is _At.CONTENT_END:
                next_position = self._read_content_end(data, position)
            elif at is _At.TRAILERS:
                next_position = self._read_trailers(data, position)
            else:
                self.rest += data[position:]
                return pieces
            if next_position == position:
                self._held = data[position:]
                return pieces
            position = next_position
        return pieces

    def end_of_stream(self) -> None:
        """Refuse a body without its last chunk and the end of its trailers (RFC 9112, section 8)."""
        if not self.done:
            raise refuse("cut-short", "the last chunk has not come")

    # Each of these gives the place behind what it read, or where it began when that has not come whole.

    def _read_line(self, data: bytes, position: int) -> int:
        longest = self._limits.chunk_line_octets
        match = _match_line(data, position)
        if match is None or match.end() - position - 2 > longest:
            return self._await_line(data, position, longest)
        digits, extensions = match.groups()
        if extensions:
            self._extension_octets += len(extensions)
            if self._extension_octets > self._limits.chunk_extension_octets:
                raise refuse("chunk-line-too-long", "extensions of all chunks together")
        self._left = left = int(digits, 16)
        self._content += left
        if self._content_octets and self._content > self._content_octets:
            raise refuse("content-too-large", f"the limit is {self._content_octets} octets")
        self._at = _At.CONTENT if left else _At.TRAILERS
        return match.end()

    def _await_line(self, data: bytes, position: int, longest: int) -> int:
        if not _begins_line(data, position, position + longest + 1):
            raise refuse("bad-chunk-size")
        end = data.find(_CRLF, position, position + longest + 2)
        if end >= 0:
            raise refuse("bad-chunk-extension")
        if len(data) - position > longest + 1 or (len(data) - position > longest and data[-1:] != b"\r"):
            raise refuse("chunk-line-too-long", f"the limit is {longest} octets")
        return position

    def _read_content_end(self, data: bytes, position: int) -> int:
        if not _CRLF.startswith(data[position : position + 2]):
            raise refuse("bad-chunk-end")
        if len(data) - position < 2:
            return position
        self._at = _At.LINE
        return position + 2

    def _read_trailers(self, data: bytes, position: int) -> int:
        limit = self._limits.trailer_octets
        if data.startswith(_CRLF, position):
            end = position + 2
        else:
            found = data.find(b"\r\n\r\n", position + max(0, self._sound - 3))
            end = found + 4 if found >= 0 else -1
        seen = end if end >= 0 else len(data)
        check_octets(data, position + max(0, self._sound - 1), min(seen, position + limit))
        if seen - position > limit:
            raise refuse("trailers-too-large", f"the limit is {limit} octets")
        self._sound = seen - position
        if end < 0:
            return position
        self.trailers = self._section(data[position:end])
        self._at, self.done = _At.END, True
        return end

    def _section(self, section: bytes) -> Fields:
        lines = section[:-4]
        if lines.count(_CRLF) >= self._limits.fields or not _match_section(section):
            check_lines(lines, self._limits)
            # The grammar refused what the closer look finds nothing in: never pass that on.
            raise refuse("no-colon")
        return Fields(lines)
