"""The formats of security collectors: CEF (ArcSight and many others) and LEEF 2.0 (QRadar)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from corpproxy.audit.formats.texts import began, spelled, url_of
from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode

_VENDOR = "corpproxy"
_PRODUCT = "corpproxy"

# How the format itself spells what separates its parts.
_CEF_HEAD = {"\\": "\\\\", "|": "\\|"}
_CEF_VALUE = {"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"}

# From 0 to 10: what somebody should look at stands out.
_SEVERITIES = {
    ResultCode.BLOCKED: 5,
    ResultCode.WARNED: 4,
    ResultCode.MALFORMED: 5,
    ResultCode.LIMITED: 4,
    ResultCode.CHALLENGED: 2,
    ResultCode.UPSTREAM_FAILED: 3,
    ResultCode.TIMED_OUT: 3,
    ResultCode.UNAVAILABLE: 7,
    ResultCode.LOST: 6,
    ResultCode.FAILED: 8,
}


def cef_writer(program: str) -> Callable[[Record], str]:
    """Give what writes a record as a line of CEF:0; ``program`` is our version."""
    begins = f"CEF:0|{_VENDOR}|{_PRODUCT}|{_cef_head(program)}"

    def line(record: Record) -> str:
        event = _event(record)
        fields = " ".join(f"{key}={_cef(value)}" for key, value in _cef_fields(record))
        return f"{begins}|{event}|{_cef_head(_name(record))}|{_SEVERITIES.get(record.result, 1)}|{fields}"

    return line


def leef_writer(program: str) -> Callable[[Record], str]:
    """Give what writes a record as a line of LEEF:2.0, with tabs between its fields."""
    begins = f"LEEF:2.0|{_VENDOR}|{_PRODUCT}|{_cef_head(program)}"

    def line(record: Record) -> str:
        fields = "\t".join(f"{key}={spelled(value, '=')}" for key, value in _leef_fields(record))
        return f"{begins}|{_event(record)}|x09|{fields}"

    return line


def _event(record: Record) -> str:
    """What kind of event it is: a closed list of words."""
    if record.kind is Kind.DEED:
        return _cef_head(record.deed or "deed")
    return record.result.value if record.kind in (Kind.EXCHANGE, Kind.CLOSING) else record.kind.value


def _name(record: Record) -> str:
    what = record.deed or record.decision or record.kind.value
    return f"{what} by {record.rule}" if record.rule else what


def _cef_head(text: str) -> str:
    return spelled(text, "|", _CEF_HEAD)


def _cef(text: str) -> str:
    return spelled(text, "=", _CEF_VALUE)


def _cef_fields(record: Record) -> Iterator[tuple[str, str]]:
    """The fields of the dictionary of CEF that a record has; six of our own have labels."""
    fields = {
        "rt": str(round((began(record) + record.seconds) * 1000)),
        "start": str(round(began(record) * 1000)),
        "externalId": record.id,
        "src": record.client,
        "suser": record.user,
        "dhost": record.host,
        "dpt": str(record.port or ""),
        "dst": record.upstream.rpartition(":")[0].strip("[]"),
        "app": record.scheme,
        "requestMethod": record.method,
        "request": url_of(record),
        "requestClientApplication": record.agent,
        "act": record.decision,
        "outcome": record.result.value,
        "cat": ",".join(record.categories),
        "reason": record.reason,
        "in": str(record.received),
        "out": str(record.sent),
        "deviceInboundInterface": record.listener,
    }
    labelled = (
        ("cs1", "rule", record.rule),
        ("cs2", "policy", record.policy),
        ("cs3", "groups", ",".join(record.groups)),
        ("cs4", "failure", record.failure),
        ("cs5", "within", record.within),
        ("cs6", "wouldBlock", record.would_block),
        ("cn1", "status", str(record.status or "")),
        ("cn2", "milliseconds", str(round(record.seconds * 1000))),
    )
    yield from ((key, value) for key, value in fields.items() if value)
    for key, label, value in labelled:
        if value:
            yield f"{key}Label", label
            yield key, value


def _leef_fields(record: Record) -> Iterator[tuple[str, str]]:
    fields = {
        "devTime": str(round((began(record) + record.seconds) * 1000)),
        "src": record.client,
        "usrName": record.user,
        "dst": record.upstream.rpartition(":")[0].strip("[]"),
        "dstPort": str(record.port or ""),
        "host": record.host,
        "proto": record.scheme,
        "method": record.method,
        "url": url_of(record),
        "userAgent": record.agent,
        "action": record.decision,
        "result": record.result.value,
        "status": str(record.status or ""),
        "cat": ",".join(record.categories),
        "sev": str(_SEVERITIES.get(record.result, 1)),
        "policy": record.rule,
        "policyVersion": record.policy,
        "groups": ",".join(record.groups),
        "reason": record.reason,
        "srcBytes": str(record.received),
        "dstBytes": str(record.sent),
        "milliseconds": str(round(record.seconds * 1000)),
        "reference": record.id,
        "failure": record.failure,
        "wouldBlock": record.would_block,
    }
    yield from ((key, value) for key, value in fields.items() if value)
