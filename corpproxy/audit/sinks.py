"""Where records go besides the files: the sinks of a policy, and how they do."""

from __future__ import annotations

import enum

import msgspec

from corpproxy.audit.formats import FormatName

# How far a sink may fall behind before the oldest of what waits is dropped.
SPOOL_OCTETS = 1 << 30


class SinkKind(enum.StrEnum):
    """The kinds of sinks."""

    SYSLOG = "syslog"
    HTTP = "http"
    POSTGRESQL = "postgresql"
    FILE = "file"
    MAIL = "mail"


class Packing(enum.StrEnum):
    """How a batch is packed for the way."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class SinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """
    One sink.

    ``to`` is its address: a URL, a connection string, a file, a mail address.  Names of files are complete;
    ``token``, ``password``, ``key`` are files, so that no secret stands here.  ``records``: it gets records;
    ``checkpoints``: it gets checkpoints.  ``through`` is the mail server.
    Of the files that a sink put aside, the last ``keep_files`` stay, and none that is older than
    ``keep_seconds``; 0 keeps all.
    """

    name: str
    kind: SinkKind
    to: str
    format: FormatName = FormatName.JSON
    template: str = ""
    authorities: str = ""
    certificate: str = ""
    key: str = ""
    token: str = ""
    user: str = ""
    password: str = ""
    through: str = ""
    sender: str = ""
    packing: Packing = Packing.NONE
    spool_octets: int = SPOOL_OCTETS
    rotate_octets: int = 0
    rotate_daily: bool = False
    keep_files: int = 0
    keep_seconds: float = 0.0
    records: bool = True
    checkpoints: bool = False


class SinksJob(msgspec.Struct, frozen=True):
    """What the process that serves the sinks is told."""

    records: str
    positions: str
    sinks: tuple[SinkSettings, ...]
    program: str
    host: str


class SinkState(msgspec.Struct, kw_only=True):
    """
    How a sink does, told once a second.

    ``delivered``, ``dropped`` and ``refused`` count records since the process began: those it took, those
    that were dropped because it fell too far behind, and those it would not take.  ``waiting`` are the octets
    that it is behind.  ``failing_since`` is POSIX seconds, 0 when all is well.
    """

    name: str
    delivered: int = 0
    dropped: int = 0
    refused: int = 0
    checkpoints: int = 0
    waiting: int = 0
    failing_since: float = 0.0
    reason: str = ""
