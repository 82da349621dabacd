"""The heads of answers that we make ourselves: pages, refusals, failures."""

from __future__ import annotations

from collections.abc import Iterable

from corpproxy.http1.fields import field_line, is_value
from corpproxy.http1.reasons import REASONS


def answer_head(
    status: int,
    fields: Iterable[tuple[bytes, bytes]],
    *,
    date: bytes | None = None,
    keep_alive: bool = True,
    client_version: int = 11,
    reason: bytes | None = None,
) -> bytes:
    """
    Write the head of an answer of our own.

    ``fields`` must hold what frames the content.  ``date`` is an IMF-fixdate for Date.  ``keep_alive`` says
    whether the client may send another request, ``client_version`` how it must be told.  ValueError for a
    field or a reason that would break the head, whatever text it was made of.
    """
    if reason is None:
        reason = REASONS.get(status, b"")
    if not is_value(reason) or not 100 <= status <= 999:
        raise ValueError(f"not a status and reason: {status} {reason!r}")
    lines = [b"HTTP/1.1 %d %b" % (status, reason)]
    if date is not None:
        lines.append(field_line(b"Date", date))
    lines.extend(field_line(name, value) for name, value in fields)
    if not keep_alive:
        lines.append(b"Connection: close")
    elif client_version < 11 and status >= 200:
        lines.append(b"Connection: keep-alive")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)
