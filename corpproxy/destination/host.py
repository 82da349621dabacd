"""
One normal form for hosts, made once: rules, look-ups, connections and logs all use it.

The danger is a host that two programs read differently: the filter sees one, the connection goes to
another.  So a spelling has one reading, the one that browsers have (the WHATWG URL standard), or it is
refused; nothing is repaired.  Percent signs, user names, backslashes, spaces and controls are
refused.  Odd spellings of IPv4 addresses (``0x7f.1``, ``2130706433``) become dotted
decimal, so that the rules about addresses see what would be dialled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NoReturn

from corpproxy import twins
from corpproxy.destination.labels import LabelError, to_ascii
from corpproxy.destination.model import Host
from corpproxy.errors import ProtocolError

# Names on the wire: 253 characters and 63 in a label (RFC 1035, section 2.3.4, as text).
MAX_NAME = 253
MAX_LABEL = 63

# What we look at at all: every character of the longest name may take four octets, or be a mapped one.
MAX_WRITTEN_OCTETS = 2 * 1024

# Hosts remembered as they were written, but for names of plain labels where the compiled part reads those.
# A school visits a few ten thousand a day; an entry is 0.3 KiB.
MAX_REMEMBERED = 32_768

# Letters, digits, hyphens and underscores.  Hyphens at the ends and underscores are no host names by
# RFC 1123, but they are in use and browsers send them.  The last label must not be a number: that is IPv4.
_ORDINARY = re.compile(
    rb"(?:(?!xn--)[a-z0-9_-]{1,63}+\.)*+(?![0-9]++\Z|0x[0-9a-f]*+\Z|xn--)[a-z0-9_-]{1,63}+"
)
_ORDINARY_TEXT = re.compile(_ORDINARY.pattern.decode())
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\Z", re.DOTALL)
_LABEL = re.compile(r"[a-z0-9_-]+\Z")
_AUTHORITY = re.compile(rb"(\[[^\[\]]*\]|[^:\[\]]*):([0-9]{1,5})")

_remembered: dict[bytes, Host] = {}


def normal_host(written: bytes | str) -> Host:
    """
    Bring a host to its normal form.

    ``written`` is a host alone, without port; an IPv6 address stands in brackets, or bare where no
    port could follow.  Raises ProtocolError (400, ``bad-host``) with what is wrong.
    """
    if isinstance(written, str):
        written = _encoded(written)
    if _ordinary is not None:
        # It is read in the time in which a memory of so many would be asked.
        ordinary = _ordinary(written)
        if ordinary is not None:
            return ordinary
    known = _remembered.get(written)
    if known is not None:
        return known
    host = _normal(written)
    if len(_remembered) >= MAX_REMEMBERED:
        _remembered.clear()
    _remembered[written] = host
    return host


def ordinary_name(written: str) -> str | None:
    """
    Give the normal form of a name that has nothing odd about it; None means: ask `normal_host`.

    It remembers nothing: it is for readers of lists, which never meet a name again.
    """
    lower = written.lower()
    return lower if _ORDINARY_TEXT.fullmatch(lower) and len(lower) <= MAX_NAME else None


def parse_authority(written: bytes) -> tuple[Host, int]:
    """
    Read ``host:port``, both of them present (RFC 9112, section 3.2.3).

    The port is 1 to 65535 in digits.  Raises ProtocolError (400, ``bad-host`` or ``bad-port``).
    """
    match = _AUTHORITY.fullmatch(written)
    if match is None:
        raise ProtocolError("bad-port", "a host, a colon and a port are asked for, such as example.com:443")
    port = int(match[2])
    if not 1 <= port <= 65535:
        raise ProtocolError("bad-port", f"the port {port} is not one of 1 to 65535")
    return normal_host(match[1]), port


def _normal(written: bytes) -> Host:
    """Bring a host to its normal form: the ordinary ones fast, the others step by step."""
    ordinary = ordinary_in_python(written)
    if ordinary is not None:
        return ordinary
    if len(written) > MAX_WRITTEN_OCTETS:
        _refuse("it is too long")
    if not written:
        _refuse("it is empty")
    if written[:1] == b"[" or (b":" in written and written.count(b":") > 1):
        return _ipv6(written)
    return _name_or_ipv4(_decoded(written))


def ordinary_in_python(written: bytes) -> Host | None:
    """Give the host that has nothing odd about it; ``native/target.c`` is made after it."""
    lower = written.lower()
    return Host(lower.decode()) if _ORDINARY.fullmatch(lower) and len(lower) <= MAX_NAME else None


_ordinary: Callable[[bytes], Host | None] | None = None
if twins.section is not None:
    twins.section.set_host(Host)
    _ordinary = twins.section.host


def _encoded(written: str) -> bytes:
    try:
        return written.encode()
    except UnicodeEncodeError:
        _refuse("it holds half a character")


def _decoded(written: bytes) -> str:
    try:
        return written.decode()
    except UnicodeDecodeError:
        _refuse("it holds octets that are not UTF-8")


def _name_or_ipv4(text: str) -> Host:
    """Read a name in any script, or an IPv4 address in any spelling."""
    _check_characters(text)
    if not text.isascii() or "xn--" in text.lower():
        text = _ascii(text)
        _check_characters(text)
    name = text.lower().removesuffix(".")
    if _ENDS_IN_NUMBER.match(name):
        address = _ipv4(name)
        return Host(str(address), address)
    labels = name.split(".")
    if not all(labels):
        _refuse("it has an empty label: two dots in a row, or one at its beginning")
    if any(len(label) > MAX_LABEL for label in labels) or len(name) > MAX_NAME:
        _refuse(f"it is too long: a name has {MAX_NAME} characters, a part between dots {MAX_LABEL}")
    if not all(map(_LABEL.match, labels)):
        _refuse("it holds a character that no host name has")
    return Host(name)


def _ascii(text: str) -> str:
    try:
        return to_ascii(text)
    except LabelError as error:
        _refuse(str(error))


# What is refused by name, because somebody tried it for a reason.
_TELLING = {
    "%": "it holds a percent sign; hosts are not percent-encoded",
    "@": "it holds a user name; credentials do not belong in a host",
    "\\": "it holds a backslash",
    "/": "it holds a slash",
    "?": "it holds a question mark",
    "#": "it holds a number sign",
    ":": "it holds a colon; a port does not belong here, and IPv6 addresses stand in brackets",
}
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f" + re.escape("".join(_TELLING)) + "]")


def _check_characters(text: str) -> None:
    found = _FORBIDDEN.search(text)
    if found is None:
        return
    if found[0] == " ":
        _refuse("it holds a space")
    _refuse(_TELLING.get(found[0], "it holds a control character"))


def _ipv4(name: str) -> IPv4Address:
    """
    Read one to four numbers the way browsers do (WHATWG URL, section 3.5).

    Each is decimal, octal with a leading 0, or hexadecimal with 0x; the last one fills what is left.
    """
    parts = name.split(".")
    if len(parts) > 4:
        _refuse("it ends in a number, as an IPv4 address does, but has more than four parts")
    numbers = [_number(part) for part in parts]
    last = numbers.pop()
    if any(number > 255 for number in numbers) or last >= 256 ** (4 - len(numbers)):
        _refuse("it ends in a number, as an IPv4 address does, but a part of it is too large")
    return IPv4Address(sum(number << (24 - 8 * i) for i, number in enumerate(numbers)) + last)


def _number(part: str) -> int:
    base = 10
    digits = part
    if part.startswith("0x"):
        base, digits = 16, part[2:] or "0"
    elif len(part) > 1 and part[0] == "0":
        base, digits = 8, part[1:]
    allowed = "0123456789abcdef"[:base]
    # Twenty digits are more than any address has; int() of a thousand would cost.
    if not digits or len(digits.lstrip("0")) > 20 or any(digit not in allowed for digit in digits):
        _refuse("it ends in a number, as an IPv4 address does, but is not one")
    return int(digits, base)


def _ipv6(written: bytes) -> Host:
    """Read an IPv6 address; a mapped IPv4 address becomes that, because that is what would be dialled."""
    inner = written
    if written[:1] == b"[":
        if written[-1:] != b"]":
            _refuse("it has no closing bracket")
        inner = written[1:-1]
    if b"%" in inner:
        _refuse("it names a network interface (a zone); those have a meaning on one machine only")
    try:
        address = IPv6Address(inner.decode("ascii"))
    except (AddressValueError, UnicodeDecodeError):
        _refuse("it is no IPv6 address")
    mapped = address.ipv4_mapped
    return Host(str(mapped), mapped) if mapped is not None else Host(str(address), address)


def _refuse(reason: str) -> NoReturn:
    raise ProtocolError("bad-host", f"the host cannot be used: {reason}")
