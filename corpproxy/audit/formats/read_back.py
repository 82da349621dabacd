"""Reading lines of other formats back as far as erasing needs it: who, from where, where to, and when."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import unquote, urlsplit

import msgspec

from corpproxy.audit.formats import FormatName
from corpproxy.audit.formats.texts import plain

_COMBINED = re.compile(
    r'(\S+) - (\S+) \[([^]]+)\] "(\S+) (\S+) HTTP/1\.1" (?:\d+|-) \d+ "-" "(?:[^"\\]|\\.)*"'
)
_CEF_FIELD = re.compile(r"(?:^| )(\w+)=((?:[^=\\]|\\.)*)(?= \w+=|$)")
_MONTHS = {
    name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}


class Concerned(msgspec.Struct, frozen=True):
    """Whom and what a line is about; ``at`` is POSIX seconds."""

    user: str
    client: str
    host: str
    at: float


Reader = Callable[[str], Concerned]


def reader(name: FormatName) -> Reader | None:
    """
    Give what reads lines of a format; None for one that is not read in this way.

    It raises ValueError for a line that is none of its format.
    """
    return _READERS.get(name)


def _squid(line: str) -> Concerned:
    ended, took, client, _, _, _, url, user, *_ = line.split()
    return Concerned(_word(user), _word(client), _host(url), float(ended) - float(took) / 1000)


def _combined(line: str) -> Concerned:
    found = _COMBINED.fullmatch(line)
    if found is None:
        raise ValueError("no line of the combined format")
    client, user, at, _, url = map(plain, found.groups())
    return Concerned(_nothing(user, found[2]), _nothing(client, found[1]), _host(url), _time(at))


def _cef(line: str) -> Concerned:
    head = re.match(r"CEF:0\|(?:(?:[^|\\]|\\.)*\|){6}", line)
    if head is None:
        raise ValueError("no line of CEF")
    fields = {key: plain(value) for key, value in _CEF_FIELD.findall(line[head.end() :])}
    return _event(fields, "suser", "dhost", float(fields.get("start", "0")))


def _leef(line: str) -> Concerned:
    *head, written = line.split("|", 6)
    if len(head) != 6 or head[0] != "LEEF:2.0":
        raise ValueError("no line of LEEF")
    fields = {key: plain(value) for key, _, value in (one.partition("=") for one in written.split("\t"))}
    at = float(fields.get("devTime", "0")) - float(fields.get("milliseconds", "0"))
    return _event(fields, "usrName", "host", at)


def _event(fields: Mapping[str, str], user: str, host: str, milliseconds: float) -> Concerned:
    return Concerned(fields.get(user, ""), fields.get("src", ""), fields.get(host, ""), milliseconds / 1000)


def _word(written: str) -> str:
    return "" if written == "-" else unquote(written)


def _nothing(text: str, written: str) -> str:
    return "" if written == "-" else text


def _host(url: str) -> str:
    return urlsplit(url if "://" in url else f"//{url}").hostname or ""


def _time(written: str) -> float:
    day, month, rest = written.split("/")
    return datetime.strptime(f"{day} {_MONTHS[month]} {rest}", "%d %m %Y:%H:%M:%S %z").timestamp()


_READERS: dict[FormatName, Reader] = {
    FormatName.SQUID: _squid,
    FormatName.COMBINED: _combined,
    FormatName.CEF: _cef,
    FormatName.LEEF: _leef,
}
