"""
What all formats share: the URL of a record, its moments, and how odd characters are spelled out.

A value never has a line end in it, and never what separates fields in its format: whoever reads a line back
gets the fields that were written, whatever somebody put into a user agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind
from corpproxy.audit.times import posix_seconds

# What closes an exchange; other records have no line in formats that know only exchanges.
ENDS = frozenset({Kind.EXCHANGE, Kind.CLOSING})

_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def url_of(record: Record) -> str:
    """The URL as far as it is known: of a tunnel ``host:port``; empty where there is no host."""
    host = f"[{record.host}]" if ":" in record.host else record.host
    if not host:
        return ""
    if not record.path:
        return f"{host}:{record.port}" if record.port else host
    port = "" if record.port in (0, _PORTS.get(record.scheme)) else f":{record.port}"
    return f"{record.scheme or 'http'}://{host}{port}{record.path}"


def began(record: Record) -> float:
    """When an exchange began, in POSIX seconds; 0 where its moment cannot be read."""
    try:
        return posix_seconds(record.at)
    except (ValueError, OverflowError):
        return 0.0


def spelled(text: str, special: str = "", short: Mapping[str, str] = MappingProxyType({})) -> str:
    r"""
    Spell out what is special, backslashes, and what does not print.

    That is ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``, or what ``short`` has for a character.  `plain` is the
    inverse.
    """
    if text.isprintable() and "\\" not in text and not any(one in text for one in special):
        return text
    return "".join(
        (short.get(one) or _code(one)) if one == "\\" or one in special or not one.isprintable() else one
        for one in text
    )


def plain(text: str) -> str:
    """Give what `spelled` was given."""
    parts, at = [], 0
    while (found := text.find("\\", at)) >= 0:
        letter = text[found + 1]
        length = {"x": 2, "u": 4, "U": 8}.get(letter, 0)
        at_next = found + 2 + length
        said = chr(int(text[found + 2 : at_next], 16)) if length else _LETTERS.get(letter, letter)
        parts += [text[at:found], said]
        at = at_next
    return "".join([*parts, text[at:]])


def _code(one: str) -> str:
    number = ord(one)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def percented(text: str, kept: frozenset[str]) -> str:
    """Write all that is no printable ASCII, and of that all that is not ``kept``, as ``%NN`` of its UTF-8."""
    if kept.issuperset(text):
        return text
    octets = text.encode("utf-8", "surrogatepass")
    return "".join(chr(one) if chr(one) in kept else f"%{one:02X}" for one in octets)
