"""
The octets of an index: a header, a trie of keys, a number of a set for each key, and what it says of itself.

The file is mapped, so that every process on the machine shares its pages, and replaced as a whole.  A reader
that finds another version, another machine's order of octets, a wrong length or a wrong checksum
refuses it: the index is then built again from the lists.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import marisa_trie
import msgspec

from corpproxy.destination.index_meta import IndexMeta

MAGIC = b"corpproxy lists\n"

# Raised whenever the keys, the sets or what is said of the lists change their meaning.
VERSION = 1

# Magic, version, CRC-32 of all behind; then octets: of the trie, the sets, one number of a set, the rest.
_HEADER = struct.Struct("=16sIIQQIxxxxQ8x")
_ALIGNMENT = 8


class BadIndex(ValueError):
    """The octets are no index that can be used; the text says why."""


@dataclass(frozen=True, slots=True)
class IndexParts:
    """The parts of an index, where they stand.  ``sets`` gives the number of a set for the id of a key."""

    trie: marisa_trie.Trie
    sets: memoryview
    meta: IndexMeta


def encode_index(trie: marisa_trie.Trie, sets: array[int], meta: IndexMeta) -> Iterator[bytes]:
    """Give the octets of an index, header first, in pieces."""
    described = msgspec.json.encode(meta)
    pieces = [_padded(trie.tobytes()), _padded(sets.tobytes()), described]
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    yield _HEADER.pack(
        MAGIC, VERSION, crc, len(pieces[0]), len(sets) * sets.itemsize, sets.itemsize, len(described)
    )
    yield from pieces


def decode_index(octets: memoryview) -> IndexParts:
    """Find the parts of an index in its octets, which must live as long as the parts; raises BadIndex."""
    if len(octets) < _HEADER.size or octets[: len(MAGIC)] != MAGIC:
        raise BadIndex("it is no index of category lists")
    _, version, crc, trie_octets, set_octets, item, meta_octets = _HEADER.unpack(octets[: _HEADER.size])
    if version != VERSION:
        raise BadIndex(f"it is of another version ({version}, not {VERSION})")
    sets_at = _HEADER.size + trie_octets
    meta_at = sets_at + set_octets + -set_octets % _ALIGNMENT
    if len(octets) != meta_at + meta_octets:
        raise BadIndex(f"it has {len(octets)} octets and should have {meta_at + meta_octets}")
    if zlib.crc32(octets[_HEADER.size :]) != crc:
        raise BadIndex("its checksum is wrong")
    try:
        meta = msgspec.json.decode(octets[meta_at:], type=IndexMeta)
        trie = marisa_trie.Trie().map(octets[_HEADER.size : sets_at])
        sets = octets[sets_at : sets_at + set_octets].cast("H" if item == 2 else "I")
    except (msgspec.MsgspecError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise BadIndex(f"it cannot be read: {error}") from error
    if len(sets) != len(trie) or not _is_sound(meta):
        raise BadIndex("its parts do not belong together")
    return IndexParts(trie, sets, meta)


def _is_sound(meta: IndexMeta) -> bool:
    count = len(meta.memberships)
    numbers = [number for members in meta.sets for number in members]
    numbers += [number for number, _ in meta.expressions]
    return all(0 <= number < count for number in numbers)


def _padded(octets: bytes) -> bytes:
    return octets + b"\0" * (-len(octets) % _ALIGNMENT)
