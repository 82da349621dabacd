"""The commands about grants and requests that the running service takes over its control socket."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.backends.store.interface import StoreError
from corpproxy.config.nearest import nearest
from corpproxy.destination.host import normal_host
from corpproxy.errors import ProtocolError
from corpproxy.identity.grants import ADDRESS, ANY_RULE, GROUP, MAX_ALSO, MAX_SECONDS, NETWORK, Grant
from corpproxy.identity.names import normal_name
from corpproxy.identity.requests import AccessRequest, State
from corpproxy.net.control import Caller, Command, ControlError
from corpproxy.policy.networks import client_address

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

MIN_SECONDS = 60.0
MAX_WHY_CHARACTERS = 300
COMMAND = "command"


def grant_commands(service: CorpproxyService) -> Mapping[str, Command]:
    """Give each command by its name."""
    desk = Desk(service)
    return {
        "grants": desk.grants,
        "grant-give": desk.give,
        "grant-end": desk.end,
        "requests": desk.requests,
        "request-grant": desk.grant_request,
        "request-refuse": desk.refuse_request,
    }


class Desk:
    """Does what administrators on the machine ask for, and records who asked."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service

    def grants(self, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
        """List the grants that hold."""
        held = self._service.lasting.grants.all(self._service.now())
        return {"grants": [asdict(grant) for grant in held]}

    def give(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Give a grant."""
        service, now = self._service, self._service.now()
        host, *also = self._hosts(arguments)
        rule = self._rule(arguments.get("rule"))
        grant = Grant(
            who=self._who(arguments),
            host=host,
            rule=rule,
            until=now + _seconds(arguments),
            given_by=caller.name,
            why=_why(arguments),
            id=service.proxy.references.next(now),
            also=tuple((name, rule) for name in also),
            since=now,
        )
        return self._given(grant, caller)

    def end(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """End a grant before its time."""
        service = self._service
        id = str(arguments.get("id", ""))
        grant = service.lasting.grants.get(id)
        if grant is None:
            raise ControlError(
                "no-such-grant", f"there is no grant '{id}'; 'corpproxy grants list' shows them"
            )
        self._record(DeedName.ENDED, caller, grant, why=str(arguments.get("why", ""))[:MAX_WHY_CHARACTERS])
        ending = service.granting.take_back(id)
        return ending.addErrback(_not_kept).addCallback(lambda _: {"grant": asdict(grant)})

    def requests(self, caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
        """List the requests, those that wait or all that are known."""
        requests, now = self._service.lasting.requests, self._service.now()
        found = requests.all(now) if arguments.get("all") else requests.waiting(now)
        return {"requests": [asdict(one) for one in found]}

    def grant_request(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Let the person of a request through, or the whole group or room that is named; or give more."""
        service, now = self._service, self._service.now()
        request = self._waiting(arguments)
        if request.limit:
            return self._grant_more(request, caller, arguments)
        if arguments.get("volume") or arguments.get("minutes"):
            raise ControlError("bad-grant", "this request is for access: say for how long, as --for 1h")
        whole = {key: arguments[key] for key in ("group", "network") if arguments.get(key)}
        grant = Grant(
            who=self._who(whole) if whole else request.who,
            host=request.host,
            rule=request.rule,
            until=now + _seconds(arguments),
            given_by=caller.name,
            why=request.reason,
            id=service.proxy.references.next(now),
            also=() if arguments.get("alone") else request.also,
            since=now,
        )
        settled = replace(
            request,
            state=State.GRANTED,
            by=caller.name,
            decided_at=now,
            grant=grant.id,
            until=grant.until,
        )
        service.granting.keep_request(settled).addErrback(_not_kept)
        return self._given(grant, caller, request.id)

    def _grant_more(
        self, request: AccessRequest, caller: Caller, arguments: dict[str, Any]
    ) -> Deferred[dict[str, Any]]:
        """Give more of a quota, as ``corpproxy quota grant`` does."""
        # That one has its words from here.
        from corpproxy.quota_commands import QuotaDesk

        told = QuotaDesk(self._service).grant_asked(request, caller, arguments)
        settled = replace(
            request,
            state=State.GRANTED,
            by=caller.name,
            decided_at=self._service.now(),
            until=told["standing"]["until"],
            more=told["more"],
        )
        keeping = self._service.granting.keep_request(settled).addErrback(_not_kept)
        return keeping.addCallback(lambda _: told)

    def refuse_request(self, caller: Caller, arguments: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Say no to a request."""
        service, now = self._service, self._service.now()
        request = self._waiting(arguments)
        answer = str(arguments.get("why", ""))[:MAX_WHY_CHARACTERS]
        refused = replace(request, state=State.REFUSED, by=caller.name, decided_at=now, answer=answer)
        deed = Deed(
            DeedName.QUOTA_REFUSED if request.limit else DeedName.REFUSED,
            now,
            caller.name,
            request.member if request.limit else request.who,
            () if request.limit else (request.host,),
            request.limit or request.rule,
            why=answer,
            request=request.id,
            source=COMMAND,
        )
        service.books.deed(deed, service.configuration.version)
        return service.granting.keep_request(refused).addErrback(_not_kept).addCallback(lambda _: {})

    # What is asked for.

    def _given(self, grant: Grant, caller: Caller, request: str = "") -> Deferred[dict[str, Any]]:
        self._record(DeedName.GIVEN, caller, grant, request=request)
        giving = self._service.granting.give(grant)
        return giving.addErrback(_not_kept).addCallback(lambda _: {"grant": asdict(grant)})

    def _record(
        self, name: DeedName, caller: Caller, grant: Grant, *, why: str = "", request: str = ""
    ) -> None:
        deed = Deed(
            name,
            self._service.now(),
            caller.name,
            grant.who,
            grant.hosts,
            grant.rule,
            grant.until if name is DeedName.GIVEN else 0.0,
            why or grant.why,
            grant.id,
            request,
            COMMAND,
        )
        self._service.books.deed(deed, self._service.configuration.version)

    def _waiting(self, arguments: Mapping[str, Any]) -> AccessRequest:
        id = str(arguments.get("id", ""))
        request = self._service.lasting.requests.get(id)
        if request is None:
            raise ControlError(
                "no-such-request", f"there is no request '{id}'; 'corpproxy requests' shows them"
            )
        if not request.is_waiting:
            said = f"{request.by} has decided on it already: {request.state.value}"
            raise ControlError("request-settled", said)
        return request

    def _who(self, arguments: Mapping[str, Any]) -> str:
        return asked_whom(self._service, arguments)

    def _hosts(self, arguments: Mapping[str, Any]) -> list[str]:
        written = arguments.get("hosts")
        if not isinstance(written, list) or not 0 < len(written) <= MAX_ALSO + 1:
            raise ControlError("bad-grant", f"name one host, and at most {MAX_ALSO} that its pages need")
        try:
            return [normal_host(str(one)).name for one in written]
        except ProtocolError as error:
            raise ControlError("bad-grant", error.message) from error

    def _rule(self, name: object) -> str:
        if not name:
            return ANY_RULE
        rules = {rule.name: rule for rule in self._service.configuration.policy.rules}
        _one_of(str(name), rules, "rule")
        if not rules[str(name)].may_be_overridden:
            raise ControlError("bad-grant", f"no grant goes past rule '{name}' ({rules[str(name)].place})")
        return str(name)


_WHO = ("user", "group", "network", "address")


def asked_whom(service: CorpproxyService, arguments: Mapping[str, Any]) -> str:
    """
    Read who is meant, as grants name people.

    :raises ControlError: when nobody is, or several, or somebody who is not known.
    """
    named = [(key, str(arguments[key])) for key in _WHO if arguments.get(key)]
    if len(named) != 1:
        raise ControlError("bad-grant", f"name one of {', '.join(_WHO)}: who is to be let through")
    ((key, name),) = named
    if key == "address":
        if client_address(name) is None:
            raise ControlError("bad-grant", f"'{name}' is no IP address of a client")
        return ADDRESS + name
    people = service.reception.people
    if key == "user":
        name = normal_name(name)
        _one_of(name, service.reception.names | people.members().keys(), "user")
        return name
    known = people.group_names if key == "group" else people.network_names
    _one_of(name, known, key)
    return (GROUP if key == "group" else NETWORK) + name


def _one_of(name: str, known: Collection[str], kind: str) -> None:
    if name not in known:
        near = nearest(name, known)
        hint = f"; nearest is '{near}'" if near else ""
        raise ControlError("bad-grant", f"there is no {kind} '{name}'{hint}")


def _seconds(arguments: Mapping[str, Any]) -> float:
    seconds = arguments.get("seconds")
    if not isinstance(seconds, int | float) or not MIN_SECONDS <= seconds <= MAX_SECONDS:
        said = (
            "a grant lasts from a minute to a day; what is to last belongs into 'exceptions:' of the policy"
        )
        raise ControlError("bad-grant", said)
    return float(seconds)


def _why(arguments: Mapping[str, Any]) -> str:
    why = str(arguments.get("why") or "").strip()
    if not why:
        raise ControlError("bad-grant", "say why: the reason stands in the record")
    return why[:MAX_WHY_CHARACTERS]


def _not_kept(failure: Failure) -> None:
    failure.trap(StoreError)  # type: ignore[no-untyped-call]
    said = "what became of a grant holds, and will be forgotten with a restart: {why}"
    log.critical(said, why=failure.getErrorMessage())
