"""The ``listen:`` table: where the proxy, the portal and the administrators' pages answer."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, ip_address
from typing import Annotated

from pydantic import model_validator

from corpproxy.config.schema.leaves import Leaf, Text, wrong
from corpproxy.config.schema.table import Table, asked, optional

_ENDPOINT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})")


def _endpoint(written: str) -> tuple[str, int]:
    match = _ENDPOINT.fullmatch(written)
    address = (match[1] or match[2]) if match else ""
    try:
        ip_address(address)
    except (AddressValueError, ValueError):
        said = f"wants address:port such as 0.0.0.0:3128 (every address) or [::1]:3128, not '{written}'"
        raise wrong("bad-address", said) from None
    port = int(match[3]) if match else 0
    if not 1 <= port <= 65535:
        raise wrong("out-of-range", f"wants a port from 1 to 65535, not {port}")
    return address, port


Endpoint = Annotated[tuple[str, int], Leaf("address:port", _endpoint, {"type": "string"})]


class ListenTable(Table):
    """
    One address on which the service answers.

    Exactly one of ``forward``, ``portal`` and ``admin`` says what for.
    """

    name: Text = asked("The name that rules and records use for this listener.")
    forward: Endpoint | None = optional("Answer as the forward proxy on this address and port.")
    portal: Endpoint | None = optional("Serve the PAC file and the page that tells how to set up a device.")
    admin: Endpoint | None = optional("Serve health, readiness and metrics to administrators.")
    token: Text | None = optional(
        "A file with the token that administrators send; asked for unless ``admin`` is a loopback address."
    )

    @model_validator(mode="after")
    def one_purpose(self) -> ListenTable:
        """Refuse a listener that is for nothing or for several things."""
        purposes = [name for name in ("forward", "portal", "admin") if getattr(self, name) is not None]
        if len(purposes) != 1:
            found = "has " + " and ".join(purposes) if purposes else "has none"
            raise wrong("one-purpose", f"wants exactly one of forward, portal and admin; this one {found}")
        if self.token is not None and self.admin is None:
            raise wrong("one-purpose", "has a token, which only an admin listener asks for")
        return self
