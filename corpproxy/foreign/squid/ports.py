"""The ports that Squid listens on, as listeners of ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from corpproxy.foreign.squid.lines import Line, Lines

# What follows a port and makes it something else than a forward proxy's.
_OTHER_USES = {
    "intercept": "connections that a router diverts are not served",
    "transparent": "connections that a router diverts are not served",
    "tproxy": "connections that a router diverts are not served",
    "accel": "this is the front of a web server, not a forward proxy",
    "vhost": "this is the front of a web server, not a forward proxy",
    "require-proxy-header": "the PROXY protocol is not spoken",
}


@dataclass(frozen=True, slots=True)
class Port:
    """One ``http_port``; ``left_out`` says why it cannot be a listener, empty when it can."""

    name: str
    address: str
    number: int
    line: Line
    left_out: str = ""
    remark: str = ""

    @property
    def is_everywhere(self) -> bool:
        """Whether it listens on every address of the machine."""
        return ip_address(self.address).is_unspecified

    @property
    def endpoint(self) -> str:
        """Address and port as a listener has them."""
        return f"[{self.address}]:{self.number}" if ":" in self.address else f"{self.address}:{self.number}"


def overlaps(one: Port, other: Port) -> bool:
    """Whether two ports cannot be listened on both."""
    first, second = ip_address(one.address), ip_address(other.address)
    if one.number != other.number or first.version != second.version:
        return False
    return first == second or first.is_unspecified or second.is_unspecified


def read_port(line: Line, found: Lines) -> Port | None:
    """Read an ``http_port`` or ``https_port`` line; what is wrong is told."""
    if not line.words:
        found.say(line.place, "out-of-range", f"'{line.name}' wants a port, as: {line.name} 3128")
        return None
    where, *options = line.words
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):([0-9]{1,5})|([0-9]{1,5})", where.text)
    number = int(match[3] or match[4]) if match else 0
    if match is None or not 1 <= number <= 65535:
        said = f"'{where.text}' is no port, nor an address with a port"
        found.say(where.place, "out-of-range", said)
        return None
    written = match[1] or match[2] or "0.0.0.0"
    left_out = _left_out(line, [option.text for option in options])
    try:
        address = str(ip_address(written))
    except ValueError:
        address, left_out = "0.0.0.0", f"the address of '{written}' is not looked up; write it"
    named = [option.text.partition("=")[2] for option in options if option.text.startswith("name=")]
    # Squid's own name of a port without one is what stands in the line.
    name = named[0] if named and named[0] else where.text
    return Port(name, address, number, line, left_out, _remark([option.text for option in options]))


def _left_out(line: Line, options: list[str]) -> str:
    if line.name == "https_port":
        return "clients reach this proxy without TLS"
    words = [option.partition("=")[0] for option in options]
    return next((_OTHER_USES[word] for word in words if word in _OTHER_USES), "")


def _remark(options: list[str]) -> str:
    if "ssl-bump" in options:
        return "TLS is not opened here, so that rules see the host of https and no more"
    return ""
