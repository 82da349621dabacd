"""Forgetting in the memory of a process what is erased in files: exchanges that run, refusals, requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpproxy.audit.erasure import Erasure

if TYPE_CHECKING:
    from corpproxy.exchange.exchange import Exchange
    from corpproxy.net.proxy import Proxy
    from corpproxy.service import CorpproxyService


def forget(service: CorpproxyService, erasure: Erasure) -> None:
    """Forget in this process: it names nobody again for what began before."""
    # A worker has no store of its own, and nothing of it until somebody is erased.
    from corpproxy.backends.store.erase import is_asked_by

    service.books.forget(erasure, running(service.proxy))
    service.lasting.refusals.forget(erasure)
    service.lasting.requests.forget(lambda request: is_asked_by(erasure, request))


def running(proxy: Proxy) -> list[Exchange]:
    """The exchanges that run now; a connection at rest has none."""
    exchanges = (getattr(one, "exchange", None) for one in proxy.admission.connections)
    return [one for one in exchanges if one is not None]
