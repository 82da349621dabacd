"""
Syslog: messages of RFC 5424, counted in octets (RFC 6587, RFC 5425), over TCP or TLS.

The protocol has no answers: a server that dies takes with it what it had not read.  So what was sent counts
as delivered only when the connection has held for some seconds since and the kernel of the other side has
taken it all; else it is sent once more.
"""

from __future__ import annotations

import fcntl
import re
import socket
import ssl
import struct
import termios
from collections.abc import Sequence
from urllib.parse import urlsplit

from corpproxy.audit.formats.texts import began
from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.sinks import SinkSettings
from corpproxy.audit.times import utc_text
from corpproxy.backends.sinks.delivery import Entry, SinkFailure
from corpproxy.backends.sinks.follow import Positions
from corpproxy.backends.sinks.tls import tls_context

PORTS = {"tls": 6514, "tcp": 601}
CONNECT_SECONDS = 10.0
SEND_SECONDS = 30.0
CONFIRM_SECONDS = 3.0

# Facility 13 is that of audit logs; of its severities we use three.
_FACILITY = 13 * 8
_NOTICE, _INFORMATIONAL, _WARNING = 5, 6, 4
_NOTICED = frozenset({ResultCode.BLOCKED, ResultCode.WARNED, ResultCode.MALFORMED, ResultCode.LIMITED})
_WARNED = frozenset({ResultCode.UNAVAILABLE, ResultCode.FAILED, ResultCode.LOST})

_NO_PRINT = re.compile(r"[^\x21-\x7e]")


def message(line: bytes, at: str, word: str, severity: int, host: bytes) -> bytes:
    """One message with its length before it; ``word`` is its MSGID."""
    said = b"<%d>1 %s %s corpproxy - %s - %s" % (
        _FACILITY + severity,
        at.encode() or b"-",
        host,
        word.encode() or b"-",
        line,
    )
    return b"%d %s" % (len(said), said)


def host_name(name: str) -> bytes:
    """A name as the head of a message can have it."""
    return _NO_PRINT.sub("", name)[:255].encode() or b"-"


class SyslogSink:
    """Sends records to a syslog server."""

    confirm_seconds = CONFIRM_SECONDS

    def __init__(self, settings: SinkSettings, host: str) -> None:
        self._settings = settings
        parts = urlsplit(settings.to)
        self._is_tls = parts.scheme == "tls"
        self._server = parts.hostname or ""
        self._port = parts.port or PORTS[parts.scheme]
        self._host = host_name(host)
        self._socket: socket.socket | None = None

    def send(self, entries: Sequence[Entry], positions: Positions) -> int:
        """
        Send records; none is refused.

        :raises SinkFailure: when the connection cannot be made, or breaks.
        """
        self._write(b"".join(self._framed(one) for one in entries))
        return 0

    def send_checkpoint(self, line: bytes) -> None:
        """
        Send a checkpoint.

        :raises SinkFailure: when the connection cannot be made, or breaks.
        """
        self._write(message(line.rstrip(b"\n"), "", "checkpoint", _NOTICE, self._host))

    def positions(self) -> Positions:
        """The server does not know."""
        return {}

    def is_taken(self) -> bool:
        """
        Whether the kernel of the other side has taken all that was sent.

        :raises SinkFailure: when the connection is gone.
        """
        self._listen()
        if self._socket is None:
            return False
        (waiting,) = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4)))
        return not waiting

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    @property
    def _place(self) -> str:
        return f"{self._server}:{self._port}"

    def _connected(self) -> socket.socket:
        try:
            raw = socket.create_connection((self._server, self._port), CONNECT_SECONDS)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # A peer that takes nothing for so long is gone.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SEND_SECONDS * 1000))
            made = raw
            if self._is_tls:
                made = tls_context(self._settings).wrap_socket(raw, server_hostname=self._server)
            made.settimeout(SEND_SECONDS)
            return made
        except OSError as error:
            raise SinkFailure(f"{self._place} cannot be reached: {error}") from error

    def _write(self, octets: bytes) -> None:
        self._listen()
        if self._socket is None:
            self._socket = self._connected()
        try:
            self._socket.sendall(octets)
        except OSError as error:
            raise SinkFailure(f"{self._place} takes nothing: {error}") from error

    def _listen(self) -> None:
        """Hear whether the server, which says nothing as long as all is well, ended the connection."""
        if self._socket is None:
            return
        try:
            self._socket.setblocking(False)
            try:
                heard = self._socket.recv(4096)
            finally:
                self._socket.settimeout(SEND_SECONDS)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError as error:
            raise SinkFailure(f"{self._place} broke the connection: {error}") from error
        if not heard:
            raise SinkFailure(f"{self._place} closed the connection")

    def _framed(self, entry: Entry) -> bytes:
        record = entry.record
        word = record.deed or (
            record.result.value if record.kind in (Kind.EXCHANGE, Kind.CLOSING) else record.kind.value
        )
        at = utc_text(began(record) + record.seconds)
        return message(entry.line, at, word, _severity(record), self._host)


def _severity(record: Record) -> int:
    if record.result in _WARNED:
        return _WARNING
    return _NOTICE if record.kind is Kind.DEED or record.result in _NOTICED else _INFORMATIONAL
