"""The command that makes the running service forget somebody, given over its control socket."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins
from twisted.internet.defer import Deferred

from corpproxy.audit.erasure import ALL_GROUPS, WHERE_GROUPS, Erasure, Reached
from corpproxy.destination.host import normal_host
from corpproxy.errors import ProtocolError
from corpproxy.identity.names import normal_name
from corpproxy.net.control import Caller, Command, ControlError
from corpproxy.policy.networks import client_address

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

MAX_WHY_CHARACTERS = 300


def erase_commands(service: CorpproxyService) -> Mapping[str, Command]:
    """Give each command by its name."""
    desk = _Desk(service)
    return {"erase": desk.erase, "expire": desk.expire}


@dataclass(frozen=True, slots=True)
class _Desk:
    service: CorpproxyService

    def erase(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Forget a person, a client or a host, or say how much that would be."""
        erasure = asked_erasure(arguments, self.service.now())
        pseudonyms = tuple(str(one) for one in arguments.get("pseudonyms", ()))
        sealed = tuple(str(one) for one in arguments.get("sealed", ()))
        if arguments.get("counts_only"):
            counting: Deferred[list[Reached]] = self.service.erasing.count(erasure, pseudonyms)
            return counting.addCallback(_told)
        why = asked_reason(arguments, erasure)
        by = caller.name
        erasing: Deferred[list[Reached]] = self.service.erasing.erase(erasure, by, why, pseudonyms, sealed)
        return erasing.addCallback(_told)

    def expire(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Erase what is older than the policy keeps, now, or say how much that would be."""
        retention = self.service.retention
        if arguments.get("counts_only"):
            counting: Deferred[list[Reached]] = retention.count()
            return counting.addCallback(_told)
        running: Deferred[list[Reached]] = retention.run(caller.name)
        return running.addCallback(_told)


def _told(reached: list[Reached]) -> dict[str, Any]:
    return {"reached": to_builtins(reached)}


def asked_erasure(arguments: Mapping[str, Any], now: float) -> Erasure:
    """
    Read what is to be erased.

    :raises ControlError: when it is about nobody, or about what is no address or host.
    """
    user, client, host = (str(arguments.get(name) or "") for name in ("user", "client", "host"))
    if not (user or client or host):
        raise ControlError("bad-erasure", "name a user, a client or a host: what is to be forgotten")
    if client and client_address(client) is None:
        raise ControlError("bad-erasure", f"'{client}' is no IP address of a client")
    try:
        host = normal_host(host).name if host else ""
    except ProtocolError as error:
        raise ControlError("bad-erasure", error.message) from error
    since, until = float(arguments.get("since") or 0.0), float(arguments.get("until") or inf)
    if since >= until:
        raise ControlError("bad-erasure", "it would begin after its end")
    return Erasure(
        user=normal_name(user),
        client=str(client_address(client)) if client else "",
        host=host,
        since=since,
        until=min(until, now),
        groups=ALL_GROUPS if user or client else WHERE_GROUPS,
    )


def asked_reason(arguments: Mapping[str, Any], erasure: Erasure) -> str:
    """
    Read why; the record keeps it, so that it must not say what is erased.

    :raises ControlError: without one, or with one that does.
    """
    why = str(arguments.get("why") or "").strip()
    if not why:
        raise ControlError("bad-erasure", "say why: the reason stands in the record")
    for name in (erasure.user, erasure.client, erasure.host):
        if name and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", why, re.IGNORECASE):
            said = "the reason stands in the record: write it without what is to be forgotten"
            raise ControlError("bad-erasure", said)
    return why[:MAX_WHY_CHARACTERS]
