"""The record as a line for people: what ``corpproxy audit`` prints on a terminal."""

from __future__ import annotations

from datetime import datetime, tzinfo

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.counted import counted

_BAD = {
    ResultCode.BLOCKED,
    ResultCode.WARNED,
    ResultCode.LIMITED,
    ResultCode.MALFORMED,
}
_BROKEN = {
    ResultCode.UPSTREAM_FAILED,
    ResultCode.TIMED_OUT,
    ResultCode.UNAVAILABLE,
    ResultCode.FAILED,
    ResultCode.LOST,
}
_YELLOW, _RED, _PLAIN = "\x1b[33m", "\x1b[31m", "\x1b[0m"


def readable_line(record: Record, zone: tzinfo, *, colours: bool = False) -> str:
    """
    Write a record as one line of text in the time of ``zone``.

    What came from the wire cannot speak to the terminal: everything that does not print is spelled out.
    """
    words = [
        _local(record.at, zone),
        record.id,
        record.client or "-",
        record.user or "-",
        _result(record),
        str(record.status or "-"),
        f"{record.received}/{record.sent}",
        f"{record.seconds:.3f}s",
        record.method or "-",
        _target(record),
        *_why(record),
    ]
    line = printable(" ".join(words))
    return f"{_colour(record)}{line}{_PLAIN}" if colours and _colour(record) else line


def printable(text: str) -> str:
    """Spell out what does not print: control characters, line ends, marks that turn the direction of text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _local(at: str, zone: tzinfo) -> str:
    try:
        return datetime.fromisoformat(at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return at


def _result(record: Record) -> str:
    if record.kind in (Kind.EXCHANGE, Kind.CLOSING):
        return record.result.value
    return record.kind.value


def _target(record: Record) -> str:
    host = f"[{record.host}]" if ":" in record.host else record.host
    if not record.path:
        return f"{host}:{record.port}" if host else "-"
    port = "" if record.port in (0, 80 if record.scheme == "http" else 443) else f":{record.port}"
    return f"{record.scheme}://{host}{port}{record.path}"


def _why(record: Record) -> list[str]:
    said = [f"[{','.join(record.categories)}]"] if record.categories else []
    if record.deed:
        return [*said, *_deed(record)]
    if record.rule:
        said.append(f'{record.decision} by "{record.rule}"')
    if record.exception:
        said.append(f'through exception "{record.exception}"')
    if record.would_block:
        said.append(f'would be blocked by "{record.would_block}"')
    if record.ended_rule:
        said.append(f'ended by "{record.ended_rule}"')
    if record.failure:
        said.append(f"failure {record.failure}" + (f" ({record.phase})" if record.phase else ""))
    return said


def _deed(record: Record) -> list[str]:
    about = (
        (record.whom, f"for {record.whom}"),
        (record.hosts, f"[{','.join(record.hosts)}]"),
        (record.granted, f"until {record.granted}"),
        (record.count, counted(record.count, "record")),
        (record.reason, f"({record.reason})"),
    )
    return [record.deed, *(words for is_known, words in about if is_known)]


def _colour(record: Record) -> str:
    if record.result in _BROKEN:
        return _RED
    return _YELLOW if record.result in _BAD else ""
