"""
The TLS ClientHello: found in records, read as far as the server name (RFC 8446, sections 4.1.2 and 5.1).

Only what is needed to find one extension is looked at; it is looked at strictly, because the name
found here is compared with the name that a tunnel was allowed for.  Whatever a server could read otherwise is
malformed here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from corpproxy import twins

# A hello of today, with a post-quantum key share, has 1.7 KiB; RFC 8446 allows 16 MiB.
MAX_HELLO_OCTETS = 16 * 1024
# What the records around such a hello may add: one could hold as little as one octet, but no client cuts so.
MAX_RECORDS = 64
_RECORD_HEADER_OCTETS = 5
MAX_OCTETS = MAX_HELLO_OCTETS + MAX_RECORDS * _RECORD_HEADER_OCTETS

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_MAX_RECORD_OCTETS = 16 * 1024
_SERVER_NAME = 0
_HOST_NAME = 0
_MAX_NAME_OCTETS = 253

_is_host_name = re.compile(rb"(?:[A-Za-z0-9_-]{1,63}+\.)*+[A-Za-z0-9_-]{1,63}+").fullmatch


class NoClientHello(ValueError):
    """These octets are no ClientHello, or none that is well-formed."""


# A record with a handshake message in it, as far as the length of the session id.
_BEGINNING = struct.Struct(">BHHBBHH32xB").unpack_from
_BEGINNING_OCTETS = 44
_KIND_AND_LENGTH = struct.Struct(">HH").unpack_from


def quick_in_python(octets: bytes) -> str | None:
    """
    Read the server name off a stream that is one ClientHello in one record, as nearly every one is.

    LookupError where it is anything else, or where anything is wrong with it: then it is for those below to
    say what.  They cut a hello into parts; here nothing is cut but the name, at a fifth of the cost.
    ``native/preface.c`` is made after it.
    """
    try:
        kind, record, length, message, high, low, version, session = _BEGINNING(octets)
        end = 5 + length
        if (
            kind != _HANDSHAKE
            or not 0x300 <= record <= 0x304
            or message != _CLIENT_HELLO
            or (high << 16 | low) + 4 != length
            or length > MAX_HELLO_OCTETS
            or end != len(octets)
            or version >> 8 != 3
            or session > 32
        ):
            raise LookupError
        at = _BEGINNING_OCTETS + session
        suites = octets[at] << 8 | octets[at + 1]
        at += 2 + suites
        methods = octets[at]
        at += 1 + methods
        if not suites or suites & 1 or not methods or at + 2 + (octets[at] << 8 | octets[at + 1]) != end:
            raise LookupError
        at += 2
        name = None
        seen = set()
        while at != end:
            kind, length = _KIND_AND_LENGTH(octets, at)
            at += 4
            if kind in seen:
                raise LookupError
            seen.add(kind)
            if kind == _SERVER_NAME:
                name = octets[at : at + length]
            at += length
        return None if name is None else _only_name(name)
    except struct.error:
        raise LookupError from None


def _only_name(content: bytes) -> str:
    """The host name of a server_name extension that is sound."""
    octets = len(content)
    if octets < 6 or content[2]:
        raise LookupError
    listed, named = content[0] << 8 | content[1], content[3] << 8 | content[4]
    if listed != octets - 2 or named != octets - 5 or named > _MAX_NAME_OCTETS:
        raise LookupError
    if not _is_host_name(content, 5):
        raise LookupError
    return content[5:].decode("ascii").lower()


quick_server_name: Callable[[bytes], str | None] = (
    quick_in_python if twins.preface is None else twins.preface.quick_server_name
)


class _Cut:
    """Takes parts with a length before them off some octets."""

    __slots__ = ("_at", "_octets")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def is_over(self) -> bool:
        return self._at == len(self._octets)

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._octets):
            raise NoClientHello("a length goes past the end")
        part, self._at = self._octets[self._at : end], end
        return part

    def number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets), "big")

    def vector(self, length_octets: int) -> bytes:
        return self.take(self.number(length_octets))


def hello_message(octets: bytes) -> bytes | None:
    """
    Put the ClientHello together from the TLS records that begin a stream.

    None while more octets are needed; NoClientHello as soon as it can be none.
    """
    message = bytearray()
    at = declared = 0
    for _ in range(MAX_RECORDS):
        header = octets[at : at + _RECORD_HEADER_OCTETS]
        _check_record_header(header)
        if len(header) < _RECORD_HEADER_OCTETS:
            return None
        length = int.from_bytes(header[3:], "big")
        at += _RECORD_HEADER_OCTETS
        message += octets[at : at + length]
        at += length
        declared += length
        size = _message_octets(message)
        if size is not None and declared > size:
            # RFC 8446, section 5.1: nothing may follow in the record.
            raise NoClientHello("octets behind the ClientHello")
        if size is not None and len(message) == size:
            return bytes(message[4:])
        if at > len(octets):
            return None
    raise NoClientHello("the ClientHello is in too many records")


def _check_record_header(header: bytes) -> None:
    """Refuse what begins no handshake record; a header may be cut short."""
    if header and header[0] != _HANDSHAKE:
        raise NoClientHello("no TLS handshake record")
    # Versions 3.0 to 3.4: what stands here is history (RFC 8446, section 5.1), but nothing else is sent.
    if header[1:2] not in (b"", b"\x03") or header[2:3] > b"\x04":
        raise NoClientHello("no TLS version")
    if len(header) == _RECORD_HEADER_OCTETS:
        length = int.from_bytes(header[3:], "big")
        if not 0 < length <= _MAX_RECORD_OCTETS:
            raise NoClientHello("an empty or oversized TLS record")


def _message_octets(message: bytes | bytearray) -> int | None:
    """How long the handshake message is with its header, None while that is not known."""
    if message and message[0] != _CLIENT_HELLO:
        raise NoClientHello("another handshake message")
    if len(message) < 4:
        return None
    size = 4 + int.from_bytes(message[1:4], "big")
    if size > MAX_HELLO_OCTETS:
        raise NoClientHello("the ClientHello is too long")
    return size


def server_name(message: bytes) -> str | None:
    """
    The host name of the server_name extension, in lower case; None where there is none.

    ``message`` is a ClientHello without its handshake header.  NoClientHello when it is malformed, or names
    two hosts, or an address, or what is no host name at all (RFC 6066, section 3).
    """
    cut = _Cut(message)
    if cut.number(2) >> 8 != 3:
        raise NoClientHello("no TLS version")
    cut.take(32)  # random
    if len(cut.vector(1)) > 32:
        raise NoClientHello("the session id is too long")
    suites = cut.vector(2)
    if not suites or len(suites) % 2 or not cut.vector(1):
        raise NoClientHello("no cipher suites, or no compression methods")
    if cut.is_over():
        return None  # before TLS 1.2 there were hellos without extensions
    extensions = cut.vector(2)
    if not cut.is_over():
        raise NoClientHello("octets behind the extensions")
    content = _extension(extensions, _SERVER_NAME)
    return None if content is None else _host_name(content)


def _extension(extensions: bytes, wanted: int) -> bytes | None:
    """The content of one extension, None where it is missing.  All are walked: none may come twice."""
    found = None
    kinds = []
    at, end = 0, len(extensions)
    while at + 4 <= end:
        kind = extensions[at] << 8 | extensions[at + 1]
        begin = at + 4
        at = begin + (extensions[at + 2] << 8 | extensions[at + 3])
        kinds.append(kind)
        if kind == wanted:
            found = extensions[begin:at]
    if at != end:
        raise NoClientHello("a length goes past the end")
    if len(set(kinds)) != len(kinds):
        raise NoClientHello("an extension comes twice")  # RFC 8446, section 4.2
    return found


def _host_name(content: bytes) -> str:
    outer = _Cut(content)
    names = _Cut(outer.vector(2))
    if names.number(1) != _HOST_NAME:
        raise NoClientHello("a server name of an unknown kind")
    name = names.vector(2)
    if not names.is_over() or not outer.is_over():
        raise NoClientHello("more than one server name")
    # RFC 6066 has no dot at the end; some clients copy it from the URL, and it names the same host.
    name = name.removesuffix(b".")
    if len(name) > _MAX_NAME_OCTETS or not _is_host_name(name):
        raise NoClientHello("the server name is no host name")
    return name.decode("ascii").lower()
