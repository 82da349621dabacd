"""
The few families of things that go wrong, and where in a file they stand.

A part raises one of these; the road turns it into an answer and a record.  Each carries a
*code*: a short symbolic name that stands on the page, in the record and in the manual, so that
a person can search for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from corpproxy.masked import masked


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """
    Where something stands: a file, a line and a column, both counted from 1; 0 is unknown.

    ``width`` is how many characters of the line it takes, 0 for the rest of it.
    """

    file: str
    line: int = 0
    column: int = 0
    width: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


NOWHERE = Place("")

# How bad a problem is, the worst first.
SEVERITIES = ("error", "warning", "hint")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """
    A fault in configuration, told to the administrator at its place, in words that say what to do.

    ``severity`` is ``error`` (nothing is loaded), ``warning`` (loaded, and something will not work as
    written) or ``hint`` (loaded, and probably not what was meant).  Secrets in ``message``, as in an address
    that is quoted, are masked.
    """

    place: Place
    code: str
    message: str
    severity: str = "error"

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", masked(self.message))

    @property
    def is_error(self) -> bool:
        """Whether it keeps the configuration from being loaded."""
        return self.severity == "error"

    @property
    def line(self) -> str:
        """It as a line for people: where, how bad unless it is an error, what."""
        return str(self) if self.is_error else f"{self.place}: {self.severity}: {self.message}"

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class CorpproxyError(Exception):
    """What the families have in common: a symbolic code and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ProtocolError(CorpproxyError):
    """
    The peer broke the rules of its protocol.

    ``status`` is the hint for the answer when the peer is a client (400, 408, 413, 414, 431,
    501, 505); when it is a server, the answer is 502 whatever the hint says.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.status = status


class UpstreamError(CorpproxyError):
    """
    The way to the server failed.

    ``phase`` is one of ``resolve``, ``connect``, ``send``, ``answer``, ``content``;
    ``answered`` says that octets of an answer had come, and ``timed_out`` that waiting ended it
    (504 rather than 502).  ``reused`` says that the connection had served another exchange
    before: the server may have closed it just then, so that a safe request is tried again.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        phase: str,
        timed_out: bool = False,
        answered: bool = False,
        reused: bool = False,
    ) -> None:
        super().__init__(code, message)
        self.phase = phase
        self.timed_out = timed_out
        self.answered = answered
        self.reused = reused

    @property
    def status(self) -> int:
        """The status to answer with (RFC 9110, sections 15.6.3 and 15.6.5)."""
        return 504 if self.timed_out else 502


class ClientGone(CorpproxyError):
    """The client left before its exchange was over."""

    def __init__(self, message: str = "the client closed the connection") -> None:
        super().__init__("client-gone", message)
