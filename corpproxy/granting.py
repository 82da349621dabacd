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
        # In a store that other nodes have: what was there last, and what was ended here and may be there yet.
        self._there: set[str] = set()
        self._ended: set[str] = set()

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
        self._came(grant)
        return self._store.save_grant(grant)

    def take_back(self, id: str) -> Deferred[None]:
        """End a grant before its time."""
        self._went(id)
        self._ended.add(id)
        return self._store.end_grant(id)

    def keep_request(self, request: AccessRequest) -> Deferred[None]:
        """Keep what became of a request."""
        self._became(request)
        return self._store.save_request(request)

    def take(self, grants: list[Grant], requests: list[AccessRequest]) -> None:
        """Take up what other nodes gave and ended: these are all that the store has."""
        there = {grant.id: grant for grant in grants}
        for id in self._there - there.keys():
            # What waits here to be kept was not there yet, and is not gone.
            if self._grants.get(id) is not None:
                self._went(id)
        self._there = set(there)
        self._ended &= self._there
        for grant in grants:
            if grant.id not in self._ended and self._grants.get(grant.id) != grant:
                self._came(grant)
        for request in requests:
            if self._requests.get(request.id) != request:
                self._became(request)

    def _came(self, grant: Grant) -> None:
        self._grants.add(grant)

    def _went(self, id: str) -> None:
        self._grants.end(id)

    def _became(self, request: AccessRequest) -> None:
        self._requests.keep(request)

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
                if error.code not in ("store-failed", "store-away"):
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
