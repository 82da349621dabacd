"""
The native format of Squid's ``access.log``, which every report tool for Squid reads.

Ten fields with white space between them: when it ended, how many milliseconds it took, the client, result
code and status, octets to the client, method, URL, user, how the server was reached, media type.
"""

from __future__ import annotations

import string

from corpproxy.audit.formats.texts import ENDS, began, percented, url_of
from corpproxy.audit.record import Record
from corpproxy.audit.results import ResultCode

_PRINTS = frozenset(chr(number) for number in range(0x21, 0x7F))
# A per cent sign in a URL begins an octet that is spelled out already.
_IN_URL = _PRINTS
_IN_WORD = _PRINTS - {"%"}
_IN_METHOD = frozenset(string.ascii_letters + string.digits + "!#$&'*+-.^_`|~")

# What Squid would have called it.
_CODES = {
    ResultCode.FORWARDED: "TCP_MISS",
    ResultCode.TUNNELLED: "TCP_TUNNEL",
    ResultCode.UPGRADED: "TCP_TUNNEL",
    ResultCode.BLOCKED: "TCP_DENIED",
    ResultCode.WARNED: "TCP_DENIED",
    ResultCode.REDIRECTED: "TCP_REDIRECT",
    ResultCode.CHALLENGED: "TCP_DENIED",
    ResultCode.PORTAL: "NONE_NONE",
    ResultCode.PAC: "NONE_NONE",
    ResultCode.ANSWERED: "NONE_NONE",
    ResultCode.MALFORMED: "NONE_NONE",
    ResultCode.LIMITED: "TCP_DENIED",
    ResultCode.CLIENT_SLOW: "NONE_NONE_TIMEOUT",
    ResultCode.CLIENT_GONE: "TCP_MISS_ABORTED",
    ResultCode.UPSTREAM_FAILED: "TCP_MISS",
    ResultCode.TIMED_OUT: "TCP_MISS_TIMEOUT",
    ResultCode.UNAVAILABLE: "NONE_NONE",
    ResultCode.ENDED: "TCP_MISS_ABORTED",
    ResultCode.LOST: "TCP_MISS_ABORTED",
}
_TUNNEL_CODES = {
    ResultCode.CLIENT_GONE: "TCP_TUNNEL_ABORTED",
    ResultCode.TIMED_OUT: "TCP_TUNNEL_TIMEOUT",
    ResultCode.ENDED: "TCP_TUNNEL_ABORTED",
    ResultCode.LOST: "TCP_TUNNEL_ABORTED",
}


def squid_line(record: Record) -> str | None:
    """Give the line of a record; None where it closes no exchange."""
    if record.kind not in ENDS:
        return None
    return (
        f"{began(record) + record.seconds:.3f} {record.seconds * 1000:6.0f} {_word(record.client)} "
        f"{_code(record)}/{record.status:03d} {record.sent} {_method(record.method)} {_url(record)} "
        f"{_word(record.user)} {_way(record)} {_word(record.media_type)}"
    )


def _code(record: Record) -> str:
    if record.method == "CONNECT" and record.result in _TUNNEL_CODES:
        return _TUNNEL_CODES[record.result]
    return _CODES.get(record.result, "NONE_NONE")


def _method(written: str) -> str:
    return percented(written, _IN_METHOD) or "NONE"


def _url(record: Record) -> str:
    return percented(url_of(record), _IN_URL) or "error:no-destination"


def _word(written: str) -> str:
    if written == "-":
        return "%2D"
    return percented(written, _IN_WORD) or "-"


def _way(record: Record) -> str:
    address = record.upstream.rpartition(":")[0].strip("[]")
    return f"HIER_DIRECT/{percented(address, _IN_WORD)}" if address else "HIER_NONE/-"
