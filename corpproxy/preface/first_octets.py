"""
What begins in a tunnel: TLS and for which server, a WebSocket upgrade, or something else.

The answer comes as early as it can be known: usually with the first octet for "something else", and with the
last octet of the ClientHello or of the request head otherwise.  The octets are kept until then and
travel on unchanged.
"""

from __future__ import annotations

import base64
import binascii
import enum
from dataclasses import dataclass, field

from corpproxy.errors import ProtocolError
from corpproxy.http1.framing import NO_BODY, request_body
from corpproxy.http1.head import RequestHead, RequestReader
from corpproxy.http1.limits import DEFAULT_LIMITS, Limits
from corpproxy.http1.steering import upgrade_protocol
from corpproxy.http1.target import Form, parse_target
from corpproxy.preface.client_hello import (
    MAX_OCTETS,
    NoClientHello,
    hello_message,
    quick_server_name,
    server_name,
)

_TLS_FIRST = b"\x16"
_GET = b"GET "


class Start(enum.Enum):
    """The kinds of beginnings."""

    TLS = "tls"
    WEBSOCKET = "websocket"
    OTHER = "other"


@dataclass(slots=True)
class Verdict:
    """
    What a tunnel begins with.

    ``server_name`` is the name in the ClientHello, in lower case, None without one; ``host`` and ``port`` are
    what the Host field of a WebSocket upgrade names, as written, and ``octets`` is the length of that
    request; ``reason`` says why it is neither.  Not frozen: each tunnel makes one.
    """

    start: Start
    server_name: str | None = None
    host: bytes | None = None
    port: int | None = None
    reason: str = ""
    octets: int = field(default=0, compare=False)


def judge_at_once(octets: bytes) -> Verdict | None:
    """Say what a tunnel begins with where that is a whole ClientHello, as it nearly always is."""
    if octets[:1] != _TLS_FIRST:
        return None
    try:
        return Verdict(Start.TLS, quick_server_name(octets))
    except LookupError:
        return None


class TunnelStart:
    """
    Looks at the first octets of a tunnel until it is known what they are.

    ``octets`` are all that were fed, for the server.  At most 16 KiB and the records around them are held
    for TLS, and a head of the limit's size for a WebSocket.
    """

    __slots__ = ("_limits", "_reader", "_verdict", "octets")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.octets = b""
        self._limits = limits
        self._reader: RequestReader | None = None
        self._verdict: Verdict | None = None

    def feed(self, data: bytes) -> Verdict | None:
        """Take octets; give the verdict once it is known, and then again each time."""
        self.octets += data
        if self._verdict is None and self.octets:
            self._verdict = self._judge(data)
        return self._verdict

    def end_of_stream(self) -> Verdict:
        """Take the end of what the client sends: an unfinished beginning is none."""
        return self._verdict or _other("the tunnel ended before its beginning was whole")

    def _judge(self, data: bytes) -> Verdict | None:
        if self.octets[:1] == _TLS_FIRST:
            return self._judge_tls()
        if not self.octets.startswith(_GET[: len(self.octets)]):
            return _other("neither TLS nor a GET request")
        return self._judge_request(data)

    def _judge_tls(self) -> Verdict | None:
        try:
            message = hello_message(self.octets)
            if message is not None:
                return Verdict(Start.TLS, server_name(message))
        except NoClientHello as fault:
            return _other(str(fault))
        return _other("the ClientHello is too long") if len(self.octets) > MAX_OCTETS else None

    def _judge_request(self, data: bytes) -> Verdict | None:
        if self._reader is None:
            self._reader = RequestReader(self._limits)
        try:
            head = self._reader.feed(data)
            if head is None:
                return None
            return _judge_head(head)
        except ProtocolError as fault:
            return _other(fault.message)


def _other(reason: str) -> Verdict:
    return Verdict(Start.OTHER, reason=reason)


def _judge_head(head: RequestHead) -> Verdict:
    """Tell the opening handshake of a WebSocket (RFC 6455, section 4.2.1) from any other request."""
    target = parse_target(head)
    protocols = (upgrade_protocol(head) or b"").split(b", ")
    fields = head.fields
    if b"websocket" not in protocols:
        return _other("a plain HTTP request in a tunnel")
    # An absolute target beside another Host could reach a site that this tunnel was not allowed for.
    if target.form is not Form.ORIGIN or request_body(head) is not NO_BODY:
        return _other("a WebSocket upgrade with a whole URL or with content")
    if fields.all(b"sec-websocket-version") != [b"13"] or not _is_key(fields.all(b"sec-websocket-key")):
        return _other("a WebSocket upgrade without a valid key and version")
    return Verdict(Start.WEBSOCKET, host=target.host, port=target.port, octets=head.octets)


def _is_key(values: list[bytes]) -> bool:
    """Whether there is one key, of 16 octets in base64."""
    try:
        return len(values) == 1 and len(base64.b64decode(values[0], validate=True)) == 16
    except binascii.Error:
        return False
