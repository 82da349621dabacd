"""Open tunnels have a record of how far they are every few minutes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from corpproxy.backends.books import PROGRESS_SECONDS, Books
from corpproxy.forgetting import running

if TYPE_CHECKING:
    from corpproxy.net.downstream import Downstream
    from corpproxy.net.proxy import Proxy

# Progress of so many tunnels is recorded in one turn, which takes some 3 ms.
AT_ONCE = 100


class Progress:
    """Tells the books how far the tunnels of a proxy are."""

    def __init__(self, proxy: Proxy, books: Books, now: Callable[[], float]) -> None:
        self._proxy = proxy
        self._books = books
        self._now = now

    def look(self) -> None:
        """Record each tunnel that has been open for that long."""
        now, tunnels = self._now(), self._proxy.admission.tunnels
        if self._books.forgotten:
            oldest = min((one.started for one in running(self._proxy)), default=now)
            # One that ended a moment ago may not be recorded yet.
            self._books.let_go(oldest - PROGRESS_SECONDS)
        self._tell([one for one in tunnels if now - one.exchange.started >= PROGRESS_SECONDS])

    def _tell(self, tunnels: list[Downstream]) -> None:
        """Record some tunnels, and the others in later turns: of ten thousand nobody should notice."""
        some, others = tunnels[:AT_ONCE], tunnels[AT_ONCE:]
        still_open = self._proxy.admission.tunnels
        open_now = [one for one in some if one in still_open]
        for one in open_now:
            one.take_down()
        self._books.progress([one.exchange for one in open_now])
        if others and not self._proxy.stopping:
            self._proxy.reactor.callLater(0, self._tell, others)
