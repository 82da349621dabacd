"""The result codes: how an exchange ended, each with one meaning."""

from __future__ import annotations

import enum


class Kind(enum.StrEnum):
    """
    What a record is to its exchange.

    Exactly one ``exchange`` or ``closing`` record ends each exchange.  A tunnel has an ``opening``
    before it and, while it is long, ``progress`` in between, all with the same id.  A ``deed`` is no
    exchange: somebody asked for access, gave it, or ended it.
    """

    EXCHANGE = "exchange"
    OPENING = "opening"
    PROGRESS = "progress"
    CLOSING = "closing"
    DEED = "deed"


class ResultCode(enum.StrEnum):
    """How an exchange ended.  ``OPEN`` stands in openings and progress records alone."""

    OPEN = "open"
    FORWARDED = "forwarded"
    TUNNELLED = "tunnelled"
    UPGRADED = "upgraded"
    BLOCKED = "blocked"
    WARNED = "warned"
    REDIRECTED = "redirected"
    CHALLENGED = "challenged"
    PORTAL = "portal"
    PAC = "pac"
    ANSWERED = "answered"
    MALFORMED = "malformed"
    LIMITED = "limited"
    CLIENT_SLOW = "client-slow"
    CLIENT_GONE = "client-gone"
    UPSTREAM_FAILED = "upstream-failed"
    TIMED_OUT = "timed-out"
    UNAVAILABLE = "unavailable"
    ENDED = "ended"
    LOST = "lost"
    DONE = "done"
    FAILED = "failed"


class Fault(enum.StrEnum):
    """Whose doing it was that an exchange ended as it did."""

    NOBODY = "nobody"
    CLIENT = "client"
    SERVER = "server"
    POLICY = "policy"
    OURS = "corpproxy"


# What a failure was in particular stands in ``failure``, and when in ``phase``.
FAULTS: dict[ResultCode, Fault] = {
    ResultCode.OPEN: Fault.NOBODY,
    ResultCode.FORWARDED: Fault.NOBODY,
    ResultCode.TUNNELLED: Fault.NOBODY,
    ResultCode.UPGRADED: Fault.NOBODY,
    ResultCode.BLOCKED: Fault.POLICY,
    ResultCode.WARNED: Fault.POLICY,
    ResultCode.REDIRECTED: Fault.POLICY,
    ResultCode.CHALLENGED: Fault.CLIENT,
    ResultCode.PORTAL: Fault.NOBODY,
    ResultCode.PAC: Fault.NOBODY,
    ResultCode.ANSWERED: Fault.NOBODY,
    ResultCode.MALFORMED: Fault.CLIENT,
    ResultCode.LIMITED: Fault.POLICY,
    ResultCode.CLIENT_SLOW: Fault.CLIENT,
    ResultCode.CLIENT_GONE: Fault.CLIENT,
    ResultCode.UPSTREAM_FAILED: Fault.SERVER,
    ResultCode.TIMED_OUT: Fault.SERVER,
    ResultCode.UNAVAILABLE: Fault.OURS,
    ResultCode.ENDED: Fault.POLICY,
    ResultCode.LOST: Fault.OURS,
    ResultCode.DONE: Fault.NOBODY,
    ResultCode.FAILED: Fault.OURS,
}

# The reference page has this table, and a test compares the two.
MEANINGS: dict[ResultCode, str] = {
    ResultCode.OPEN: "The exchange still runs; its closing record follows.",
    ResultCode.FORWARDED: "The request went to the server and its whole answer to the client.",
    ResultCode.TUNNELLED: "A CONNECT tunnel was opened and both sides ended it.",
    ResultCode.UPGRADED: "The server changed the protocol (WebSocket) and both sides ended it.",
    ResultCode.BLOCKED: "A rule or the safety table refused it.",
    ResultCode.WARNED: "The warn page was shown, or a warning over CONNECT refused it.",
    ResultCode.REDIRECTED: "A rule sent the client elsewhere.",
    ResultCode.CHALLENGED: "Credentials were missing or wrong; the client was asked for them.",
    ResultCode.PORTAL: "A page of the portal was served.",
    ResultCode.PAC: "The PAC file was served.",
    ResultCode.ANSWERED: "TRACE or OPTIONS whose Max-Forwards ended here was answered.",
    ResultCode.MALFORMED: "The request broke the rules of HTTP and was refused.",
    ResultCode.LIMITED: "Too many connections or tunnels were open.",
    ResultCode.CLIENT_SLOW: "The client did not send its whole request in time.",
    ResultCode.CLIENT_GONE: "The client left before the exchange was over.",
    ResultCode.UPSTREAM_FAILED: "The server was out of reach, or its answer broke off or broke the rules.",
    ResultCode.TIMED_OUT: "The server did not answer, or nothing moved any more, in time.",
    ResultCode.UNAVAILABLE: "We could not serve: the record or a backend failed, or we are stopping.",
    ResultCode.ENDED: "We ended a running exchange: it may not go on, a lifetime was over, we stopped.",
    ResultCode.LOST: "The process died; the record was closed for it.",
    ResultCode.DONE: "What a person did to the access of others was done.",
    ResultCode.FAILED: "A bug of ours; the log of the service has the reference.",
}
