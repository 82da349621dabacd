"""The combined format of Apache's ``access_log``, which tools for web servers read."""

from __future__ import annotations

from datetime import UTC, datetime

from corpproxy.audit.formats.texts import ENDS, began, spelled, url_of
from corpproxy.audit.record import Record

_SHORT = {"\\": "\\\\", '"': '\\"'}
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def combined_line(record: Record) -> str | None:
    """Give the line of a record; None where it closes no exchange."""
    if record.kind not in ENDS:
        return None
    return (
        f"{_word(record.client)} - {_word(record.user)} [{_time(began(record))}] "
        f'"{_word(record.method)} {_word(url_of(record))} HTTP/1.1" {record.status or "-"} {record.sent} "-" '
        f'"{_quoted(record.agent)}"'
    )


def _time(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    # The names of months are English, whatever the machine speaks.
    return f"{moment:%d}/{_MONTHS[moment.month - 1]}/{moment:%Y:%H:%M:%S} +0000"


def _word(text: str) -> str:
    if text == "-":
        return "\\x2d"
    return spelled(text, ' "', _SHORT) or "-"


def _quoted(text: str) -> str:
    if text == "-":
        return "\\x2d"
    return spelled(text, '"', _SHORT) or "-"
