"""
Grants and requests of the running service: read at the start, given and ended by administrators, forgotten
when their time is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.assembly import Lasting
from corpproxy.backends.store.interface import Store, StoreError
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import AccessRequest
from corpproxy.repeating import every

log = Logger()

# How often grants that ended are forgotten.
EXPIRE_SECONDS = 60.0
# How long until a store that could not be read at the start is asked again.
RETRY_SECONDS = 5.0


class Granting:
    """Keeps what holds in memory and what the store has of it the same."""

    def __init__(self, reactor: Any, store: Store, lasting: Lasting, now: Callable[[], float]) -> None:
        self._reactor = reactor
        self._store = store
        self._grants, self._requests = lasting.grants, lasting.requests
        self._now = now
        self._loading: Deferred[None] | None = None
        self._expiring: LoopingCall | None = None

    def start(self) -> None:
        """Bring back what was granted and asked before, and begin to forget what is over."""
        self._loading = Deferred.fromCoroutine(self._load()).addErrback(_not_loaded)
        self._expiring = every(EXPIRE_SECONDS, self._expire, self._reactor)

    def stop(self) -> None:
        """Ask a store that could not be read no more."""
        if self._loading is not None:
            self._loading.cancel()
        if self._expiring is not None and self._expiring.running:
            self._expiring.stop()

    def give(self, grant: Grant) -> Deferred[None]:
        """Put a grant into force at once, and keep it; fails with StoreError, and holds all the same."""
        self._grants.add(grant)
        return self._store.save_grant(grant)

    def take_back(self, id: str) -> Deferred[None]:
        """End a grant before its time."""
        self._grants.end(id)
        return self._store.end_grant(id)

    def keep_request(self, request: AccessRequest) -> Deferred[None]:
        """Keep what became of a request."""
        self._requests.keep(request)
        return self._store.save_request(request)

    def _expire(self) -> None:
        self._grants.expire(self._now())
        self._requests.expire(self._now())

    async def _load(self) -> None:
        told = ""
        while True:
            try:
                grants = await self._store.load_grants(self._now())
                requests = await self._store.load_requests(self._now())
            except StoreError as error:
                if error.message != told:
                    told = error.message
                    said = "grants and requests cannot be read, what was granted must be again: {reason}"
                    log.critical(said, reason=told)
                if error.code != "store-failed":
                    return
                await deferLater(self._reactor, RETRY_SECONDS)
            else:
                self._grants.load(grants, self._now())
                self._requests.load(requests, self._now())
                self._loaded()
                return

    def _loaded(self) -> None:
        """Do what is to be done when all are known."""


def _not_loaded(failure: Failure) -> None:
    if not failure.check(CancelledError):  # type: ignore[no-untyped-call]
        log.failure("grants could not be loaded", failure)
