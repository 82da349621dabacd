"""
Squid's access log in its native format, line by line, as records of what Squid decided.

The format is ``time elapsed client code/status octets method URL user hierarchy/address type``; fields that a
site added behind them are passed over.  Squid writes a line when a request is over, so that it began
``elapsed`` milliseconds before.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.counted import counted
from corpproxy.errors import CorpproxyError
from corpproxy.identity.names import normal_name
from corpproxy.policy.model import Effect
from corpproxy.policy.networks import client_address
from corpproxy.policy.question import read_request

_FIELDS = 10
_CODE = re.compile(r"([A-Z_]+)/(\d{3})")
# Hierarchy codes behind which stands the server itself, and not another proxy.
_DIRECT = frozenset({"HIER_DIRECT", "DIRECT", "ORIGINAL_DST", "HIER_ORIGINAL_DST", "PINNED", "HIER_PINNED"})
# Never in a log of Squid, and read by rules.
_NOT_LOGGED = ("agent",)


class OddLine(CorpproxyError):
    """A line that is none of an access log, or asks for what no proxy serves (``odd-line``)."""

    def __init__(self, message: str) -> None:
        super().__init__("odd-line", message)


def read_line(line: bytes, number: int, listener: str = "") -> Record:
    """
    Give what a line tells, as the record of a decision by Squid.

    ``listener`` is where the request would come in, empty where that cannot be told.  A request that Squid
    itself did not decide on (a challenge, a malformed one) has no decision.  Raises OddLine.
    """
    fields = line.decode("utf-8", "backslashreplace").split()
    if len(fields) < _FIELDS:
        raise OddLine(
            f"it has {counted(len(fields), 'field')}, a line of Squid's native format has {_FIELDS}"
        )
    time, elapsed, client, code, _, method, url, user, hierarchy, *_ = fields
    code_read = _CODE.fullmatch(code)
    if code_read is None:
        raise OddLine(f"'{code}' is no result code and status, such as TCP_MISS/200")
    record = Record(
        id=f"line {number}",
        kind=Kind.EXCHANGE,
        at=_begun(time, elapsed),
        result=ResultCode.FORWARDED,
        client=_client(client),
        listener=listener,
        user=_user(user),
        source="basic" if user != "-" else "",
        method=method,
        left_out=_NOT_LOGGED if listener else (*_NOT_LOGGED, "listener"),
        status=int(code_read[2]),
    )
    _decide(record, code_read[1])
    if url.startswith("error:"):
        record.decision, record.result = "", ResultCode.MALFORMED
    elif record.decision:
        _ask(record, url, hierarchy)
    return record


def _begun(time: str, elapsed: str) -> str:
    try:
        return utc_text(max(0.0, float(time) - max(0, int(elapsed)) / 1000))
    except (ValueError, OverflowError, OSError):
        raise OddLine(f"'{time} {elapsed}' is no time in seconds and no duration in milliseconds") from None


def _client(written: str) -> str:
    if not _is_address(written):
        raise OddLine(f"'{written}' is no IP address of a client")
    return written


@lru_cache(maxsize=16_384)
def _is_address(written: str) -> bool:
    return client_address(written) is not None


def _user(written: str) -> str:
    """The name that somebody signed in with: Squid writes some octets as %xx, and a backslash twice."""
    return "" if written == "-" else normal_name(unquote(written.replace("\\\\", "\\")))


def _decide(record: Record, code: str) -> None:
    """What Squid decided: its denials stand in the code, and 407 is the question who it is."""
    tags = code.split("_")
    if "DENIED" in tags:
        if record.status in (401, 407):
            record.result = ResultCode.CHALLENGED
            return
        record.decision, record.result = Effect.BLOCK.value, ResultCode.BLOCKED
    elif "REDIRECT" in tags:
        record.decision, record.result = Effect.REDIRECT.value, ResultCode.REDIRECTED
    elif tags[0] == "NONE" and 400 <= record.status < 500:
        record.result = ResultCode.MALFORMED
        return
    else:
        record.decision = Effect.ALLOW.value


def _ask(record: Record, url: str, hierarchy: str) -> None:
    """Put what was asked for into a record, as the proxy would see it."""
    try:
        seen = read_request(record.method, url)
    except ValueError as wrong:
        raise OddLine(str(wrong)) from None
    record.method, record.scheme, record.host = seen.method, seen.scheme, seen.host.name
    record.port, record.path = seen.port, seen.path
    if seen.path.endswith("?"):
        # Squid cuts the query off unless 'strip_query_terms off' is set.
        record.path = seen.path[:-1]
        record.left_out = (*record.left_out, "query")
    how, _, address = hierarchy.partition("/")
    if how in _DIRECT and _is_address(address):
        record.upstream = f"{address}:{seen.port}"
