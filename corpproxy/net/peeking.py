"""The first octets of a tunnel: looked at, and left in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpproxy.exchange.refusal import TunnelEnded
from corpproxy.net.deadlines import NEVER
from corpproxy.preface.first_octets import TunnelStart, judge_at_once

if TYPE_CHECKING:
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.run import Run


class Peeking:
    """The sink of a client connection until its first octets tell what the tunnel carries."""

    __slots__ = ("_downstream", "_run", "_start")

    def __init__(self, run: Run, downstream: Downstream) -> None:
        self._run = run
        self._downstream = downstream
        # Only for what does not tell all at once.
        self._start: TunnelStart | None = None

    def start(self) -> None:
        """Look at what is there already, and wait for more if it does not tell."""
        downstream = self._downstream
        self._run.abandon = self._stop
        downstream.deadline = downstream.deadlines.now + downstream.timeouts.tunnel_first
        downstream.when_late = self._late
        downstream.sink = self
        ahead = downstream.held.take()
        if ahead:
            self.octets(ahead)

    def octets(self, data: bytes) -> None:
        """Look at octets; they go back to what is held for whoever takes the tunnel."""
        downstream = self._downstream
        downstream.held.octets_held += data
        verdict = None
        if self._start is None:
            verdict = judge_at_once(data)
            if verdict is None:
                self._start = TunnelStart()
        if self._start is not None:
            verdict = self._start.feed(data)
        if verdict is not None:
            self._stop()
            self._run.succeed(verdict)

    def half_closed(self) -> None:
        """The client ended its stream before it said anything that tells."""
        self._end("tunnel-content", "the client ended its side before the first octets told what it is")

    def lost(self, clean: bool) -> None:
        """The connection is gone."""
        self._stop()
        self._downstream.client_gone()

    def _late(self) -> None:
        self._end("tunnel-silent", "the client sent nothing through its tunnel")

    def _end(self, code: str, message: str) -> None:
        self._stop()
        self._run.fail(TunnelEnded(code, message))

    def _stop(self) -> None:
        downstream = self._downstream
        downstream.when_late = None
        downstream.deadline = NEVER
        downstream.sink = downstream.held
