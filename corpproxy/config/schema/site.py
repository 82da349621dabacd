"""The tables about the site itself: contact, portal and PAC file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from corpproxy.config.schema.leaves import OneOrMany, Text, parsed
from corpproxy.config.schema.table import Table, asked, listing, optional
from corpproxy.destination.host import normal_host
from corpproxy.destination.model import Host
from corpproxy.errors import ProtocolError
from corpproxy.pages.pac import LOCAL, parse_direct, parse_proxy


class ContactTable(Table):
    """Whom people ask when they meet a block page."""

    name: Text | None = optional("A person or a place.")
    mail: Text | None = optional("A mail address.")
    telephone: Text | None = optional("A telephone number, as it should be shown.")


def _portal(written: str) -> Host:
    scheme, found, rest = written.partition("://")
    name = rest.removesuffix("/")
    example = "write http:// and a name that is used for nothing else, as http://proxy.internal/"
    if scheme != "http" or not found:
        raise ValueError(f"'{written}' is no portal; {example}")
    try:
        host = normal_host(name)
    except ProtocolError as error:
        raise ValueError(f"'{written}' is no portal: {error.message}; {example}") from None
    if host.address is not None or "." not in host.name:
        raise ValueError(f"'{written}' is no portal: it wants a name with a dot in it; {example}")
    return host


PortalAddress = Annotated[
    Host, parsed("http://NAME/", _portal, "bad-portal", lambda host: f"http://{host.name}/")
]
DEFAULT_PORTAL = normal_host("proxy.internal")


def _checked(parse: Callable[[str], object]) -> Callable[[str], str]:
    """A reader that gives the text as written when ``parse`` takes it."""

    def read(written: str) -> str:
        parse(written)
        return written

    return read


def _direct(written: str) -> object:
    return written if written == LOCAL else parse_direct(written)


PacProxy = Annotated[str, parsed("host:port", _checked(parse_proxy), "bad-proxy")]
PacDirect = Annotated[str, parsed("name or network", _checked(_direct), "bad-direct")]


class PacFileTable(Table):
    """What the PAC file tells browsers: ``/proxy.pac`` and ``/wpad.dat`` on the portal listener."""

    proxy: OneOrMany[PacProxy] = asked(
        "The proxies, as ``host:port``, in the order to try them; ``https host:port`` for one behind TLS."
    )
    direct: OneOrMany[PacDirect] = listing(
        "What browsers reach without the proxy: names (with all below them), addresses, networks, or "
        "``<local>`` for names without a dot."
    )
    fallback: OneOrMany[PacProxy] = listing("Proxies to try when none of ``proxy`` answers. Never DIRECT.")
