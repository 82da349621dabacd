"""The commands about fetched lists that the running service takes: update, accept, reject, roll back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.edits import COMMAND
from corpproxy.net.control import Caller, Command

if TYPE_CHECKING:
    from corpproxy.backends.lists.updates import ListUpdates
    from corpproxy.service import CorpproxyService

log = Logger()


def list_commands(service: CorpproxyService) -> Mapping[str, Command]:
    """Give each command by its name."""

    def update(caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        updates: ListUpdates = service.updates
        names = [str(name) for name in arguments.get("names", ())]
        known = [name for name in names if updates.known(name)]
        log.info("{by} asks for lists: {names}", by=caller.name, names=", ".join(known) or "none")
        unknown = [name for name in names if not updates.known(name)]
        return updates.update(known).addCallback(
            lambda outcomes: {"outcomes": msgspec.to_builtins(outcomes), "unknown": unknown}
        )

    def settling(
        done: str,
        deed_name: DeedName,
        settle: Callable[[ListUpdates, Caller, dict[str, Any]], dict[str, Any]],
    ) -> Command:
        """A command that changes which version is in force, told in the log with who gave it."""

        def command(caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
            updates = service.updates
            pool = service.reactor.getThreadPool()
            settled = deferToThreadPool(service.reactor, pool, settle, updates, caller, arguments)
            return settled.addCallback(told, caller, str(arguments.get("name")))

        def told(answer: dict[str, Any], caller: Caller, name: str) -> dict[str, Any]:
            log.warn(
                "{by} {done} version {version} of list '{name}'",
                by=caller.name,
                done=done,
                version=answer["version"],
                name=name,
            )
            reference = service.proxy.references.next(service.now())
            why = f"list '{name}', version {answer['version']}"
            deed = Deed(
                deed_name, service.now(), caller.name, "", (), why=why, request=reference, source=COMMAND
            )
            service.books.deed(deed, service.configuration.version)
            service.updates.changed()
            return answer

        return command

    return {
        "lists-update": update,
        "lists-accept": settling("accepted", DeedName.LIST_ACCEPTED, _accept),
        "lists-reject": settling("rejected", DeedName.LIST_REJECTED, _reject),
        "lists-rollback": settling("went back to", DeedName.LIST_ROLLED_BACK, _roll_back),
    }


def _accept(updates: ListUpdates, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    name, version = str(arguments.get("name")), str(arguments.get("version", ""))
    return {"version": updates.accept(name, version, caller.name, caller.uid).version}


def _reject(updates: ListUpdates, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"version": updates.reject(str(arguments.get("name")), caller.name, caller.uid).version}


def _roll_back(updates: ListUpdates, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    was, is_now = updates.roll_back(str(arguments.get("name")), caller.name, caller.uid)
    return {"version": is_now.version, "was": was.version}
