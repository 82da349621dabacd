"""Heads and bodies as they stand on the wire, and readers fed in every way that octets can be cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from corpproxy.errors import ProtocolError
from corpproxy.http1.body import body_reader
from corpproxy.http1.framing import CHUNKED_BODY, Body
from corpproxy.http1.head import RequestHead, RequestReader, ResponseHead, ResponseReader
from corpproxy.http1.limits import DEFAULT_LIMITS, Limits
from tests.support.feeding import portions


def wire(start: bytes, *lines: bytes) -> bytes:
    """A head: its start-line, its field lines, the empty line."""
    return b"\r\n".join([start, *lines, b"", b""])


def request(
    *lines: bytes,
    method: bytes = b"GET",
    target: bytes = b"/",
    version: bytes = b"1.1",
    host: bytes | None = b"a.test",
) -> RequestHead:
    """Read a request head made of these lines, with a Host unless told otherwise."""
    first = () if host is None else (b"Host: " + host,)
    head = RequestReader().feed(wire(b"%b %b HTTP/%b" % (method, target, version), *first, *lines))
    assert head is not None
    return head


def response(*lines: bytes, status: int = 200, version: bytes = b"1.1") -> ResponseHead:
    """Read a response head made of these lines."""
    head = ResponseReader().feed(wire(b"HTTP/%b %d Reason" % (version, status), *lines))
    assert head is not None
    return head


def heads(reader: RequestReader | ResponseReader, pieces: list[bytes]) -> tuple[list[Any], str, bytes]:
    """Feed all pieces: the heads, the code of the refusal that ended it or nothing, the rest."""
    found = []
    try:
        for piece in pieces:
            head = reader.feed(piece)
            while head is not None:
                found.append(head)
                head = reader.feed(b"")
    except ProtocolError as fault:
        return found, fault.code, b""
    return found, "", reader.rest


def every_way(octets: bytes, read: Callable[[list[bytes]], Any]) -> Iterator[Any]:
    """What a reader says of these octets, for each way to cut them."""
    for pieces in portions(octets):
        yield read(pieces)


def refusal(octets: bytes, limits: Limits = DEFAULT_LIMITS) -> str:
    """The code that a request on the wire is refused with, which must not depend on how it is cut."""
    codes = {code for _, code, _ in every_way(octets, lambda pieces: heads(RequestReader(limits), pieces))}
    assert len(codes) == 1, f"{codes} for {octets!r}"
    return codes.pop()


def content(
    octets: bytes, body: Body = CHUNKED_BODY, limits: Limits = DEFAULT_LIMITS, **more: Any
) -> list[tuple[bytes, str, bytes]]:
    """For each way to cut: the content, the code of a refusal or nothing, the rest."""

    def read(pieces: list[bytes]) -> tuple[bytes, str, bytes]:
        reader = body_reader(body, limits, **more)
        found: list[bytes] = []
        try:
            for piece in pieces:
                found += reader.feed(piece)
            reader.end_of_stream()
        except ProtocolError as fault:
            return b"".join(found), fault.code, b""
        return b"".join(found), "", reader.rest

    return list(every_way(octets, read))
