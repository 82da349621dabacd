"""A Squid configuration as a whole: its acls, its access lines, its ports and settings, and what is left."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from corpproxy.config.files import Files
from corpproxy.config.nearest import did_you_mean
from corpproxy.foreign.squid.access import Access, read_access
from corpproxy.foreign.squid.acls import Acls
from corpproxy.foreign.squid.lines import Line, Lines, find_file, read_lines
from corpproxy.foreign.squid.ports import Port, overlaps, read_port
from corpproxy.foreign.squid.reasons import reason_for
from corpproxy.foreign.squid.settings import Settings, read_setting

# Helpers that look up the groups of a person, and what they are called.
GROUP_HELPERS = {
    "ext_unix_group_acl": "the operating system",
    "squid_unix_group": "the operating system",
    "ext_ldap_group_acl": "the directory",
    "squid_ldap_group": "the directory",
    "ext_wbinfo_group_acl": "the domain",
    "wbinfo_group.pl": "the domain",
    "ext_kerberos_ldap_group_acl": "the directory",
    "ext_ad_group_acl": "the domain",
    "ext_lm_group_acl": "the domain",
}
_OURS = ("acl", "http_access", "http_reply_access", "http_port", "external_acl_type")


@dataclass(slots=True)
class Source:
    """Everything that was read; ``left`` are lines without a counterpart, each with the reason."""

    found: Lines
    acls: Acls
    access: list[Access] = field(default_factory=list)
    reply_access: list[Access] = field(default_factory=list)
    ports: list[Port] = field(default_factory=list)
    settings: Settings = field(default_factory=Settings)
    left: list[tuple[Line, str]] = field(default_factory=list)
    group_helpers: dict[str, tuple[str, Line]] = field(default_factory=dict)
    passwords: bytes | None = None
    people: frozenset[str] | None = None


def read_source(path: Path, files: Files) -> Source:
    """Read the configuration at ``path`` and what it names; every fault is told in ``found``."""
    found = read_lines(path, files)
    source = Source(found, Acls(files, path.parent, found))
    for line in found.lines:
        _take(line, source)
    _passwords(source, path.parent, files)
    return source


def _take(line: Line, source: Source) -> None:
    if line.name == "acl":
        source.acls.take(line)
    elif line.name in ("http_access", "http_reply_access"):
        access = read_access(line, source.acls, source.found)
        if access is not None:
            (source.access if line.name == "http_access" else source.reply_access).append(access)
    elif line.name == "http_port":
        port = read_port(line, source.found)
        if port is not None:
            _port(port, source)
    elif line.name == "external_acl_type":
        _helper(line, source)
    elif not read_setting(line, source.settings, source.found):
        _left(line, source)


def _port(port: Port, source: Source) -> None:
    """Take a port, unless an earlier one has it already; each gets a name of its own."""
    if any(overlaps(one, port) for one in source.ports if not one.left_out):
        said = f"port {port.number} is taken by a line before this one"
        source.found.say(port.line.place, "port-twice", said, "warning")
        port = replace(port, left_out=said)
    elif any(one.name == port.name for one in source.ports):
        port = replace(port, name=port.endpoint)
    source.ports.append(port)


def _helper(line: Line, source: Source) -> None:
    """``external_acl_type NAME [options] FORMAT /path/to/helper ...``."""
    words = [word.text for word in line.words]
    program = next((Path(word).name for word in words[1:] if word.startswith("/")), "")
    if program in GROUP_HELPERS:
        source.group_helpers[words[0]] = (GROUP_HELPERS[program], line)
        return
    said = f"{program or 'the helper'} is asked by Squid, and decides by itself"
    source.left.append((line, said))


def _left(line: Line, source: Source) -> None:
    reason = reason_for(line.name)
    if reason is None:
        offered = did_you_mean(line.name, (*_OURS, "cache_peer", "include", "auth_param", "deny_info"))
        said = f"Squid has no directive '{line.name}'{offered}"
        source.found.say(line.place, "squid-directive", said, "warning")
        reason = "Squid does not know it either"
    source.left.append((line, reason))


def _passwords(source: Source, folder: Path, files: Files) -> None:
    """The password file that Squid checks against, where it can be read."""
    wanted = source.settings.htpasswd
    if wanted is None:
        return
    path = find_file(str(wanted), folder, files)
    line = next(one for one in source.settings.auth_lines if str(wanted) in one.text)
    if path is None:
        said = f"there is no file {wanted}; copy it to users.htpasswd, or nobody can sign in"
        source.found.say(line.place, "file-missing", said, "warning")
        return
    try:
        source.passwords = files.read(path)
    except OSError as error:
        said = f"cannot read {path}: {error.strerror or error}; copy it to users.htpasswd"
        source.found.say(line.place, "file-unreadable", said, "warning")
        return
    text = source.passwords.decode("utf-8", "replace")
    names = (one.partition(":")[0] for one in text.splitlines() if ":" in one)
    source.people = frozenset(name for name in names if name and not name.startswith("#"))
