"""
The record: one line of JSON for what happened in one exchange.

A line is written by :func:`encode` and read by :func:`decode`.  Fields that say nothing (empty, nought,
not measured) are left out, so that lines stay short and a field that is absent has its default.
The first field of a line is ``v``, the version of the format; a reader refuses a version it does
not know instead of guessing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from corpproxy.audit.results import Kind, ResultCode

# The version of the format: it grows when a field changes its meaning, not when a field is added.
FORMAT = 1

# What stands for a media type where an answer has no content, and where it does not say what its content is;
# one that is longer is cut.
NO_CONTENT = "none"
UNKNOWN_CONTENT = "unknown"
MAX_MEDIA_TYPE = 100


class Record(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="v", tag=FORMAT, gc=False):
    """
    What happened in one exchange, and every input of the decision about it.

    Octets are counted with heads.  Texts that came from the wire go through
    :mod:`corpproxy.audit.redact` before they stand here.

    :ivar id: the reference that the person sees on a page, too.
    :ivar at: when the exchange began, as :func:`corpproxy.audit.times.utc_text` writes it.
    :ivar seconds: from the first octet of the request to the end of the exchange.
    :ivar client: the IP address of the client, as text.
    :ivar listener: the listener that took the connection.
    :ivar user: the name of the identity, empty when nobody is named.
    :ivar groups: the groups of that identity at that time, sorted.
    :ivar groups_from: for each of the groups where it comes from: policy, file, network.
    :ivar source: how the identity is known: basic, network, exempt, anonymous.
    :ivar exemption: where the exemption stands by which nobody was asked to sign in, as file:line:column.
    :ivar path: the path, without its query unless the policy says so.
    :ivar categories: the categories of the destination, sorted.
    :ivar addresses: the classes of the host's addresses, where a rule or the safety table read them; ``none``
        where the host could not be looked up.
    :ivar countries: the countries of its addresses, where a rule asks for them; ``none`` without any.
    :ivar asns: the networks that have its addresses, as AS13335, where a rule asks; ``none`` without any.
    :ivar media_type: that of the answer, where a rule asks for it; ``none`` where it has no content,
        ``unknown`` where it does not say.
    :ivar size: the octets of its content as it was announced, where a rule asks for that.
    :ivar lists: the category lists in use, each as name=version.
    :ivar policy: the version of the policy that decided.
    :ivar left_out: what rules may read and the policy keeps out of the record: ``query``, ``agent``.
    :ivar decision: the effect of the deciding rule: allow, block, warn, redirect.
    :ivar place: where the rule stands, as file:line:column.
    :ivar category: the category by which the rule matched, ``list`` and ``entry`` what says so.
    :ivar granted: until when a grant lifts what the rule does, as ``at`` is written.
    :ivar grant: the id of that grant, and of the one that a deed is about.
    :ivar would_block: the first rule in shadow that would have refused it.
    :ivar exception: the exception without which a rule would have refused it.
    :ivar ended_rule: the rule that ended it when it was decided again while it ran; ``ended_place``,
        ``ended_reason`` and ``ended_policy`` belong to that rule.
    :ivar slowed_by: the limits that made it wait, and ``slowed_ms`` for how long in all.
    :ivar quotas: the quotas of which at least four fifths were used, each with the percentage.
    :ivar failure: the symbolic code of what went wrong, and ``phase`` when.
    :ivar status: the status that the client got; 0 when it got none.
    :ivar received: octets that came from the client.
    :ivar sent: octets that went to the client.
    :ivar up_sent: octets that went to the server.
    :ivar up_received: octets that came from the server.
    :ivar resolved: the addresses of the host, where a rule asks for networks of them; ``none`` where it could
        not be looked up.
    :ivar upstream: the address that was dialled, with its port.
    :ivar server_name: the name that TLS asked for inside a tunnel.
    :ivar agent: the User-Agent, when the policy keeps it.
    :ivar deed: what somebody did to the access of others; ``whom`` it was about, and which ``hosts``.
    :ivar count: how many records a deed changed; ``reached`` how many entries of each place, as place=number,
        or place=not-reached.
    :ivar within: the reference of the exchange around this one.
    :ivar n: the number of the record in its chain; 0 where it is in none.
    :ivar seed: what the commitments to what is personal are salted with, see `corpproxy.audit.proof`.
    :ivar salts: the salts that are left where something was erased, by group.
    :ivar erased: the commitments to what was erased, by group.
    :ivar chain: the hash of the record before; empty in records that are not chained.
    """

    id: str
    kind: Kind
    at: str
    seconds: float = 0.0
    listener: str = ""
    groups: tuple[str, ...] = ()
    groups_from: tuple[str, ...] = ()
    source: str = ""
    exemption: str = ""
    method: str = ""
    scheme: str = ""
    port: int = 0
    categories: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    asns: tuple[str, ...] = ()
    media_type: str = ""
    size: int | None = None
    lists: tuple[str, ...] = ()
    policy: str = ""
    left_out: tuple[str, ...] = ()
    decision: str = ""
    rule: str = ""
    place: str = ""
    category: str = ""
    list: str = ""
    granted: str = ""
    grant: str = ""
    would_block: str = ""
    exception: str = ""
    ended_rule: str = ""
    ended_place: str = ""
    ended_policy: str = ""
    failure: str = ""
    phase: str = ""
    status: int = 0
    received: int = 0
    sent: int = 0
    up_sent: int = 0
    up_received: int = 0
    resolve_ms: int | None = None
    connect_ms: int | None = None
    first_octet_ms: int | None = None
    slowed_by: tuple[str, ...] = ()
    slowed_ms: int | None = None
    quotas: tuple[str, ...] = ()
    deed: str = ""
    count: int = 0
    reached: tuple[str, ...] = ()
    within: str = ""
    result: ResultCode
    # Who, where, and the URL: what is personal, in the groups of `corpproxy.audit.proof`.
    client: str = ""
    user: str = ""
    agent: str = ""
    whom: str = ""
    host: str = ""
    hosts: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()
    upstream: str = ""
    server_name: str = ""
    entry: str = ""
    reason: str = ""
    ended_reason: str = ""
    path: str = ""
    # The proof, which is written when the line is.
    n: int = 0
    seed: str = ""
    salts: dict[str, str] | None = None
    erased: dict[str, str] | None = None
    chain: str = ""


class UnreadableRecord(Exception):
    """A line is no record: cut, damaged, or of a format that this version does not know."""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Record)


def encode(record: Record) -> bytes:
    """
    Write a record as one line of JSON with its line end.

    Whatever stands in the texts, the result is one line that :func:`decode` reads back: JSON escapes
    control characters, and half characters (lone surrogates), which UTF-8 cannot carry, are spelled out.
    """
    try:
        return _ENCODER.encode(record) + b"\n"
    except UnicodeEncodeError:
        return _ENCODER.encode(_spelled_out(record)) + b"\n"


def append(record: Record, lines: bytearray) -> None:
    """
    Write a record behind the lines of a batch, as :func:`encode` does.

    See :func:`encode_all` for many.
    """
    before = len(lines)
    try:
        _ENCODER.encode_into(record, lines, -1)
    except Exception as error:
        # Nothing of it may stay behind, whatever went wrong: it would spoil the next line.
        del lines[before:]
        if not isinstance(error, UnicodeEncodeError):
            raise
        _ENCODER.encode_into(_spelled_out(record), lines, -1)
    lines += b"\n"


def encode_all(records: Sequence[Record]) -> tuple[bytes, int]:
    """
    Write records as lines, as :func:`encode` does; give them, and how many could not be written.

    Writing them together costs a third of writing them one by one.  One that cannot be written, which is a
    bug of ours, is written without its details.
    """
    try:
        return _ENCODER.encode_lines(records), 0
    except Exception:
        lines = bytearray()
        bad = sum(not _append_somehow(record, lines) for record in records)
        return bytes(lines), bad


def bare(record: Record) -> Record:
    """Give a record that lacks its details, because they cannot be written down."""
    return Record(
        id=record.id,
        kind=record.kind,
        at=record.at,
        result=ResultCode.FAILED,
        failure="record",
        client=record.client,
        received=record.received,
        sent=record.sent,
    )


def _append_somehow(record: Record, lines: bytearray) -> bool:
    for one in (record, bare(record)):
        try:
            append(one, lines)
            return True
        except Exception:
            continue
    return False


def decode(line: bytes) -> Record:
    """
    Read a line that :func:`encode` wrote, with or without its line end.

    Fields that this version does not know are passed over.

    :raises UnreadableRecord: when the line is no whole record of this format.
    """
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableRecord(str(error)) from error


def _spelled_out(record: Record) -> Record:
    fields = {name: _whole(getattr(record, name)) for name in record.__struct_fields__}
    return msgspec.structs.replace(record, **fields)


def _whole(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_whole(member) for member in value)
    if type(value) is str:
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value
