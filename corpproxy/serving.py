"""What serves clients: the engine, the proxy behind their connections, a factory for each listener."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from corpproxy.assembly import assemble
from corpproxy.audit.reference import References
from corpproxy.backends.open_files import open_files_limit
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.config.transports import Transports
from corpproxy.exchange.exchange import Mode
from corpproxy.net.deadlines import Deadlines
from corpproxy.net.listening import ClientFactory
from corpproxy.net.names import Names
from corpproxy.net.pool import Pool
from corpproxy.net.proxy import Proxy

if TYPE_CHECKING:
    from corpproxy.net.engine.loop import Engine
    from corpproxy.service import CorpproxyService


def make_engine(transports: Transports, reactor: Any) -> Engine | None:
    """Make the engine of our own transports, where the policy wants them and the system has what it takes."""
    if transports is not Transports.ENGINE or not hasattr(select, "epoll"):
        return None
    from corpproxy.net.engine.loop import Engine

    return Engine(reactor)


def make_proxy(service: CorpproxyService, references: References) -> Proxy:
    """Make the proxy on the parts that a service has made."""
    configuration, reactor = service.configuration, service.reactor
    connector = None
    if service.engine is not None:
        from corpproxy.net.engine.connecting import EngineReactor

        connector = EngineReactor(service.engine)
    return Proxy(
        reactor=reactor,
        connector=connector,
        in_force=assemble(configuration, service.index, service.lasting),
        deadlines=Deadlines(reactor),
        names=Names(reactor, configuration.names),
        pool=Pool(
            reactor,
            configuration.connections,
            configuration.timeouts.connect,
            _share_of_descriptors(service.engine),
            open_files_limit(),
        ),
        books=service.books,
        sign_in=service.reception,
        grants=service.store,
        references=references,
        now=service.now,
    )


def _share_of_descriptors(engine: Engine | None) -> Callable[[], float]:
    """Say how many of the descriptors are in use; without an engine nobody counts, and it may be all."""
    if engine is None:
        return lambda: 1.0
    limit = open_files_limit()
    return lambda: len(engine) / limit


def factory_of(service: CorpproxyService, listener: Listener, token: str | None) -> Any:
    """Make the factory of a listener's connections; ``token`` is asked for by the admin pages."""
    if listener.purpose is Purpose.ADMIN:
        # What only those with such a listener need: twisted.web is a tenth of the start.
        from corpproxy.admin.site import admin_site

        return admin_site(
            service.telemetry,
            token,
            site=service.configuration.site,
            reasons=service.reasons_not_ready,
            concerns=service.concerns,
            reactor=service.reactor,
        )
    mode = Mode.PORTAL if listener.purpose is Purpose.PORTAL else Mode.FORWARD
    return ClientFactory(service.proxy, mode, listener.name)
