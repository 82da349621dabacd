"""The directives beside rules that have a counterpart: waits, limits, names, sign-in, what servers learn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from corpproxy.foreign.squid.lines import Line, Lines
from corpproxy.foreign.yaml_text import Value

_SECONDS = {
    "second": 1, "seconds": 1, "minute": 60, "minutes": 60, "hour": 3600, "hours": 3600, "day": 86400,
    "days": 86400, "week": 604800, "weeks": 604800, "millisecond": 0.001, "milliseconds": 0.001,
}  # fmt: skip
_OCTETS = {"bytes": 1, "byte": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
# Programs that look names up in an htpasswd file.
_HTPASSWD_PROGRAMS = frozenset({"basic_ncsa_auth", "ncsa_auth"})


@dataclass(slots=True)
class Settings:
    """
    Tables of our policy by their names, and which lines each field came from.

    ``htpasswd`` is the password file that Squid uses, ``signs_in`` whether it asks anybody to sign in.
    ``deny_info`` are pages and addresses for refusals, by the acl they belong to.
    """

    tables: dict[str, dict[str, Value]] = field(default_factory=dict)
    sources: dict[tuple[str, str], Line] = field(default_factory=dict)
    auth_lines: list[Line] = field(default_factory=list)
    htpasswd: Path | None = None
    signs_in: bool = False
    other_sign_in: str = ""
    deny_info: dict[str, tuple[str, Line]] = field(default_factory=dict)
    remarks: dict[Line, str] = field(default_factory=dict)

    def put(self, line: Line, table: str, name: str, value: Value) -> None:
        """Set one field; the last line of several counts, as in Squid."""
        self.tables.setdefault(table, {})[name] = value
        self.sources[table, name] = line


def read_setting(line: Line, settings: Settings, found: Lines) -> bool:
    """Read a line that has a counterpart; gives whether it has one."""
    read = _READERS.get(line.name)
    if read is None:
        return False
    if not line.words:
        found.say(line.place, "squid-setting", f"'{line.name}' has no value")
        return True
    try:
        return read(line, settings)
    except ValueError as wrong:
        found.say(line.words[0].place, "squid-setting", f"'{line.name}' {wrong}")
        return True


def _duration(table: str, name: str) -> Callable[[Line, Settings], bool]:
    def read(line: Line, settings: Settings) -> bool:
        settings.put(line, table, name, duration(line))
        return True

    return read


def duration(line: Line, at: int = 0) -> str:
    """A duration of Squid's, ``2 hours``, as ours, ``2h``."""
    words = [word.text for word in line.words[at : at + 2]]
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", words[0]):
        raise ValueError(f"wants a duration, not '{words[0]}'")
    unit = _SECONDS.get(words[1].lower()) if len(words) > 1 else 1
    if unit is None:
        raise ValueError(f"knows no unit '{words[1]}'")
    seconds = max(round(float(words[0]) * unit), 1)
    for name, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{name}"
    return f"{seconds}s"


def size(line: Line) -> int:
    """A size of Squid's, ``64 KB``, in octets."""
    words = [word.text for word in line.words[:2]]
    unit = _OCTETS.get(words[1].lower()) if len(words) > 1 else 1
    if not re.fullmatch("[0-9]{1,9}", words[0]) or unit is None:
        raise ValueError(f"wants a size, as 64 KB, not '{' '.join(words)}'")
    return int(words[0]) * unit


def size_text(octets: int) -> str:
    """A size as our policy writes it."""
    for name, unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if octets and octets % unit == 0:
            return f"{octets // unit}{name}"
    return str(octets)


def _size(table: str, name: str, *, zero: bool = False) -> Callable[[Line, Settings], bool]:
    def read(line: Line, settings: Settings) -> bool:
        octets = size(line)
        if octets or zero:
            settings.put(line, table, name, size_text(octets))
        return True

    return read


def _via(line: Line, settings: Settings) -> bool:
    if line.words[0].text == "off":
        settings.put(line, "forwarding", "via", "no")
    else:
        settings.remarks[line] = "this proxy names itself in Via too"
    return True


def _forwarded_for(line: Line, settings: Settings) -> bool:
    word = line.words[0].text
    settings.put(line, "forwarding", "forwarded_for", "yes" if word in ("on", "transparent") else "no")
    return True


def _contact(line: Line, settings: Settings) -> bool:
    settings.put(line, "contact", "mail", line.words[0].text)
    return True


def _host_name(line: Line, settings: Settings) -> bool:
    settings.put(line, "", "site", line.words[0].text)
    return True


def _name_servers(line: Line, settings: Settings) -> bool:
    servers: list[Value] = []
    for word in line.words:
        try:
            address = ip_address(word.text)
        except ValueError:
            raise ValueError(f"wants addresses, not '{word.text}'") from None
        servers.append(str(address))
    settings.put(line, "names", "servers", servers)
    return True


def _connections(line: Line, settings: Settings) -> bool:
    if re.fullmatch("[0-9]{1,9}", line.words[0].text):
        settings.put(line, "connections", "per_address", line.words[0].text)
    return True


def _auth_param(line: Line, settings: Settings) -> bool:
    """``auth_param SCHEME NAME VALUES``; only Basic with a password file is taken over."""
    words = [word.text for word in line.words]
    settings.auth_lines.append(line)
    if len(words) < 2:
        raise ValueError("wants a scheme and a parameter, as: auth_param basic realm Hillside")
    scheme, name, *values = words
    if name == "program":
        settings.signs_in = True
    if scheme != "basic":
        settings.other_sign_in = settings.other_sign_in or scheme
        settings.remarks[line] = f"there is no sign-in by {scheme}"
    elif name == "program":
        _program(line, values, settings)
    elif name == "realm" and values:
        settings.put(line, "identity", "realm", " ".join(values).strip('"'))
    elif name == "credentialsttl" and values:
        settings.put(line, "identity", "remember", duration(line, at=2))
    elif name in ("casesensitive", "case-sensitive") and values == ["off"]:
        settings.remarks[line] = "names are told apart by small and capital letters here"
    else:
        settings.remarks[line] = "passwords are checked by this proxy itself, which needs no such setting"
    return True


def _program(line: Line, values: list[str], settings: Settings) -> None:
    if values and Path(values[0]).name in _HTPASSWD_PROGRAMS and len(values) > 1:
        settings.htpasswd = Path(values[1])
    else:
        program = Path(values[0]).name if values else "nothing"
        settings.remarks[line] = f"passwords are not checked by {program} but against users.htpasswd"


def _deny_info(line: Line, settings: Settings) -> bool:
    page, *acls = [word.text for word in line.words]
    for acl in acls:
        settings.deny_info[acl] = (page, line)
    return True


def location_of(page: str) -> str:
    """Where a ``deny_info`` leads, as ``to:`` of a redirect has it; empty when it leads nowhere."""
    match = re.fullmatch(r"(?:30[12378]:)?(https?://.*)", page)
    if match is None:
        return ""
    codes = {"%u": "{uri}", "%U": "{uri}", "%s": "{uri}", "%H": "{host}", "%h": "{host}", "%%": "%"}
    return re.sub("%[A-Za-z%]", lambda code: codes.get(code[0], ""), match[1])


def fields_of(settings: Settings, table: str) -> Iterator[tuple[str, Value, Line]]:
    """The fields of one table with the lines they came from."""
    for name, value in settings.tables.get(table, {}).items():
        yield name, value, settings.sources[table, name]


_READERS: dict[str, Callable[[Line, Settings], bool]] = {
    "connect_timeout": _duration("timeouts", "connect"),
    "request_timeout": _duration("timeouts", "head"),
    "client_idle_pconn_timeout": _duration("timeouts", "idle"),
    "persistent_request_timeout": _duration("timeouts", "idle"),
    "read_timeout": _duration("timeouts", "content"),
    "server_idle_pconn_timeout": _duration("timeouts", "upstream_idle"),
    "pconn_timeout": _duration("timeouts", "upstream_idle"),
    "client_lifetime": _duration("timeouts", "tunnel_life"),
    "shutdown_lifetime": _duration("timeouts", "drain"),
    "request_body_max_size": _size("http", "content_octets", zero=True),
    "request_header_max_size": _size("http", "head_octets"),
    "via": _via,
    "forwarded_for": _forwarded_for,
    "cache_mgr": _contact,
    "visible_hostname": _host_name,
    "dns_nameservers": _name_servers,
    "client_ip_max_connections": _connections,
    "auth_param": _auth_param,
    "deny_info": _deny_info,
}
