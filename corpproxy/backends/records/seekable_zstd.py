"""
Files of the seekable format of Zstandard: small frames, and behind them a table that says where each begins.

Every program that reads Zstandard reads them; the table stands in a frame that such programs skip.  Who knows
the table gets at any place of the file by unpacking one frame.  The format is specified in
``contrib/seekable_format`` of the Zstandard project.
"""

from __future__ import annotations

import io
import os
import struct
import sys
from bisect import bisect_right
from itertools import accumulate
from typing import IO, Any

# What is unpacked to read one line: some hundred records.  Frames of four megabytes are no shorter in all.
FRAME_OCTETS = 64 * 1024

# On records, which are full of hashes, higher levels take longer and win nothing.
_LEVEL = 1

_TABLE_MAGIC = 0x184D2A5E
_END_MAGIC = 0x8F92EAB1
_END = struct.Struct("<IBI")
_HEAD = struct.Struct("<II")
_ENTRY = struct.Struct("<II")
_CHECKSUM_FLAG = 0x80


def zstd() -> Any:
    """The module for Zstandard: its import is left to those who need it."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


class NotInFrames(Exception):
    """A file has no table of its frames: another program packed it."""


class FrameWriter:
    """Packs what is written into frames; each begins and ends with whole lines.  `close` writes the table."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        module = zstd()
        kinds = module.CompressionParameter
        self._options = {kinds.compression_level: _LEVEL, kinds.checksum_flag: 1}
        self._compress = module.compress
        self._pending = bytearray()
        self._sizes: list[tuple[int, int]] = []

    def write(self, octets: bytes) -> int:
        """Take octets; they are packed when a frame is full."""
        pending = self._pending
        pending += octets
        begin = 0
        while len(pending) - begin >= FRAME_OCTETS:
            end = pending.find(b"\n", begin + FRAME_OCTETS - 1) + 1
            if not end:
                break
            self._pack(bytes(pending[begin:end]))
            begin = end
        del pending[:begin]
        return len(octets)

    def close(self) -> None:
        """Pack what is left, and write the table; the file itself stays open."""
        if self._pending:
            self._pack(bytes(self._pending))
            self._pending.clear()
        table = b"".join(_ENTRY.pack(*sizes) for sizes in self._sizes)
        self._file.write(_HEAD.pack(_TABLE_MAGIC, len(table) + _END.size))
        self._file.write(table + _END.pack(len(self._sizes), 0, _END_MAGIC))

    def _pack(self, octets: bytes) -> None:
        packed = self._compress(octets, options=self._options)
        self._file.write(packed)
        self._sizes.append((len(packed), len(octets)))


class FrameReader(io.RawIOBase):
    """
    Reads such a file from any place.

    :ivar starts: where each frame begins, in octets that are not compressed; the end of all is the last.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """
        Read the table.

        :raises NotInFrames: when there is none.
        """
        self._file = file
        self._decompress = zstd().decompress
        sizes = _table(file)
        self._places = [0, *accumulate(packed for packed, _ in sizes)]
        self.starts = [0, *accumulate(octets for _, octets in sizes)]
        self._position = 0
        self._number = -1
        self._frame = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.starts[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """
        Read from the frame at the position.

        :raises EOFError: when the file ends in the middle of it.
        """
        if self._position >= self.starts[-1] or not len(buffer):
            return 0
        number = bisect_right(self.starts, self._position) - 1
        frame = self.frame(number)
        begin = self._position - self.starts[number]
        piece = frame[begin : begin + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def frame(self, number: int) -> bytes:
        """Give what a frame holds: whole lines."""
        if number != self._number:
            self._file.seek(self._places[number])
            packed = self._file.read(self._places[number + 1] - self._places[number])
            self._frame = self._decompress(packed)
            if len(self._frame) != self.starts[number + 1] - self.starts[number]:
                raise EOFError("a frame is not as long as the table says")
            self._number = number
        return self._frame


def _table(file: IO[bytes]) -> list[tuple[int, int]]:
    """The sizes of all frames, packed and not."""
    if not file.seekable():
        raise NotInFrames
    here = file.tell()
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END.size))
        end = file.read(_END.size)
        if len(end) < _END.size:
            raise NotInFrames
        count, descriptor, magic = _END.unpack(end)
        step = _ENTRY.size + (4 if descriptor & _CHECKSUM_FLAG else 0)
        begins = size - _END.size - count * step - _HEAD.size
        if magic != _END_MAGIC or begins < 0:
            raise NotInFrames
        file.seek(begins)
        head = file.read(_HEAD.size)
        table = file.read(count * step)
        sizes = [_ENTRY.unpack_from(table, number * step) for number in range(count)]
        if _HEAD.unpack(head)[0] != _TABLE_MAGIC or sum(packed for packed, _ in sizes) != begins:
            raise NotInFrames
        return sizes
    finally:
        file.seek(here)
