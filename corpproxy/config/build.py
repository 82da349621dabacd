"""From the tables of the policy file to the settings of the parts; what comes here has been checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from corpproxy.audit.pseudonyms import Every, PseudonymSettings
from corpproxy.audit.settings import AuditSettings, Keeping
from corpproxy.config.attached import Attached
from corpproxy.config.build_rules import Rules
from corpproxy.config.build_sinks import checkpoint_folders, sinks_of
from corpproxy.config.build_store import store_of
from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.config.names import NameSettings
from corpproxy.config.nodes import Path as Steps
from corpproxy.config.nodes import Table, place_of
from corpproxy.config.schema.categories import ListTable
from corpproxy.config.schema.policy_file import PolicyFile
from corpproxy.destination.fetched_place import fetched_path
from corpproxy.destination.fetching import DAY_SECONDS, STALE_REFRESHES, Brake, Fetch, Protected
from corpproxy.destination.geography import GeographySettings
from corpproxy.destination.host import normal_host
from corpproxy.destination.sources import ListSource
from corpproxy.errors import Place, ProtocolError
from corpproxy.exchange.limits import ConnectionLimits, Forwarding, Timeouts
from corpproxy.http1.limits import Limits as HttpLimits
from corpproxy.identity.settings import BasicMethod, IdentitySettings, NetworkIdentity
from corpproxy.pages.pac import PacTable
from corpproxy.pages.site import Contact, Logo
from corpproxy.policy.approvals import Approvals
from corpproxy.policy.decide import Policy
from corpproxy.policy.exempt import Exemptions
from corpproxy.policy.limits import NO_LIMITS, Limits
from corpproxy.policy.safe_search import SafeSearch
from corpproxy.reports.scheduled import MailSettings, Scheduled

_Settings = TypeVar("_Settings")


def build(
    model: PolicyFile, root: Table, folder: Path, logo: Logo | None, version: str, attached: Attached
) -> Configuration:
    """Give the configuration that a checked policy file means, with the files that it names."""
    rules = Rules(model, root, attached)
    parts = _Parts(model, root, folder)
    return Configuration(
        site=model.site,
        time_zone=rules.time_zone,
        day_begins=model.day_begins,
        contact=Contact(**{name: text or "" for name, text in model.contact}),
        logo=logo,
        folder=folder,
        state=folder / model.state,
        store=store_of(model.store, folder, folder / model.state),
        watch=model.watch,
        listeners=parts.listeners(),
        portal=model.portal,
        pac=parts.pac(),
        identity=parts.identity(),
        lists=parts.lists(),
        own=_tuples(model.categories.own),
        exceptions=_tuples(model.categories.exceptions),
        protected=_protected(model),
        policy=Policy(
            rules.all(),
            rules.safety(),
            networks=rules.networks,
            time_zone=rules.time_zone,
            exceptions=rules.exceptions(),
        ),
        approvals=Approvals(rules.approvals(), rules.networks),
        safe_search=SafeSearch(rules.safe_search(), rules.networks),
        connections=_same_names(ConnectionLimits, model.connections),
        timeouts=_same_names(Timeouts, model.timeouts),
        forwarding=_same_names(Forwarding, model.forwarding),
        http=_same_names(HttpLimits, model.http),
        names=parts.names(),
        audit=parts.audit(),
        cases=tuple(rules.cases()),
        version=version,
        transports=model.transports,
        geography=parts.geography(),
        calendars=rules.calendars(),
        workers=model.workers,
        exemptions=Exemptions(rules.exemptions(), rules.networks),
        reports=parts.reports(),
        mail=parts.mail(),
        limits=Limits(rules.limits(), rules.networks) if model.limits else NO_LIMITS,
    )


def _same_names(settings: type[_Settings], table: BaseModel) -> _Settings:
    """Settings whose fields are those of the table."""
    return settings(**dict(table))


def _tuples(table: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in table.items()}


def list_sources(model: PolicyFile, root: Table, folder: Path) -> tuple[ListSource, ...]:
    """The lists of a policy file."""
    return tuple(
        ListSource(
            name=one.name,
            format=one.format,
            path=_list_path(model, one, folder),
            category=one.category or "",
            when_missing=one.when_missing,
            licence=one.licence or "",
            refresh=one.refresh or 0.0,
            place=place_of(root, ("categories", "lists", number)),
            fetch=_fetch(model, one, folder),
        )
        for number, one in enumerate(model.categories.lists)
    )


def _list_path(model: PolicyFile, one: ListTable, folder: Path) -> Path:
    """Where a list stands: as written, or in the state folder where it is fetched."""
    if one.url:
        return fetched_path(folder / model.state, one.name, one.format, one.url[0])
    return folder / (one.path or "")


def _fetch(model: PolicyFile, one: ListTable, folder: Path) -> Fetch | None:
    if not one.url:
        return None
    table = model.categories.fetch
    refresh = one.refresh or DAY_SECONDS
    return Fetch(
        urls=tuple(one.url),
        checksum=one.checksum or "",
        signature=one.signature or "",
        public_key=one.public_key or "",
        refresh=refresh,
        stale=one.stale or STALE_REFRESHES * refresh,
        keep=one.keep,
        size=one.size,
        proxy=table.proxy or "",
        authorities=None if table.authorities is None else folder / table.authorities,
        brake=_same_names(Brake, one.brake),
    )


def _protected(model: PolicyFile) -> Protected:
    """What updates of lists may not begin to refuse: as written, and what the policy calls the site's own."""
    table = model.categories.protect
    own = [*table.domain, model.portal.name, *model.names.domains]
    own += [name.lstrip("*.") for name in (model.pac.direct if model.pac is not None else ())]
    own += [(model.contact.mail or "").rpartition("@")[2]]
    return Protected(tuple(dict.fromkeys(filter(_is_name, own))), tuple(table.category), table.top_hosts)


def _is_name(written: str) -> bool:
    """Whether a text is a host name: a PAC file sends networks directly, too."""
    try:
        return normal_host(written).address is None
    except ProtocolError:
        return False


class _Parts:
    """The settings of each part."""

    def __init__(self, model: PolicyFile, root: Table, folder: Path) -> None:
        self._model = model
        self._root = root
        self._folder = folder

    def _place(self, *path: str | int) -> Place:
        steps: Steps = path
        return place_of(self._root, steps)

    def _file(self, written: str | None) -> Path | None:
        return None if written is None else self._folder / written

    def listeners(self) -> tuple[Listener, ...]:
        found = []
        for number, one in enumerate(self._model.listen):
            purpose = next(purpose for purpose in Purpose if getattr(one, purpose))
            address, port = getattr(one, purpose)
            token = self._file(one.token)
            found.append(Listener(one.name, purpose, address, port, token, self._place("listen", number)))
        return tuple(found)

    def pac(self) -> PacTable | None:
        table = self._model.pac
        if table is None:
            return None
        portal = self._model.portal.name
        return PacTable(tuple(table.proxy), tuple(table.direct), tuple(table.fallback), portal)

    def identity(self) -> IdentitySettings:
        table = self._model.identity
        return IdentitySettings(
            realm=table.realm,
            methods=tuple(
                BasicMethod(self._folder / one.basic.htpasswd, self._place("identity", "methods", number))
                for number, one in enumerate(table.methods)
            ),
            ask=table.ask,
            remember_seconds=int(table.remember),
            groups=_tuples(table.groups),
            groups_file=self._file(table.groups_file),
            networks=tuple(
                NetworkIdentity(
                    name,
                    tuple(network.addresses),
                    network.user,
                    tuple(network.groups),
                    self._place("identity", "networks", name),
                )
                for name, network in table.networks.items()
            ),
        )

    def geography(self) -> GeographySettings:
        table = self._model.geography
        return GeographySettings(
            self._file(table.country),
            self._file(table.asn),
            self._place("geography", "country"),
            self._place("geography", "asn"),
        )

    def lists(self) -> tuple[ListSource, ...]:
        return list_sources(self._model, self._root, self._folder)

    def names(self) -> NameSettings:
        table = self._model.names
        return NameSettings(
            servers=tuple(table.servers),
            domains={normal_host(name).name: tuple(servers) for name, servers in table.domains.items()},
            hosts={normal_host(name).name: tuple(addresses) for name, addresses in table.hosts.items()},
        )

    def _pseudonyms(self) -> PseudonymSettings:
        table = self._model.audit.pseudonyms
        if table is None:
            return PseudonymSettings()
        keepers = {name: self._folder / file for name, file in table.keepers.items()}
        return PseudonymSettings(
            table.every or Every.MONTH, keepers, tuple(dates.first for dates in table.begins)
        )

    def reports(self) -> tuple[Scheduled, ...]:
        return tuple(
            Scheduled(
                name=one.name,
                every=one.every,
                at_minutes=one.at,
                group=one.group or "",
                top=one.top,
                formats=tuple(dict.fromkeys(one.format)) or ("html",),
                folder=self._file(one.folder),
                mail=tuple(dict.fromkeys(one.mail)),
                place=self._place("reports", number),
            )
            for number, one in enumerate(self._model.reports)
        )

    def mail(self) -> MailSettings | None:
        table = self._model.mail
        if table is None:
            return None
        host, port = table.server
        return MailSettings(
            host=host,
            port=port,
            sender=table.sender,
            starts_plain=table.tls != "tls",
            user=table.user or "",
            password=self._file(table.password),
            authorities=self._file(table.authorities),
        )

    def audit(self) -> AuditSettings:
        table = self._model.audit
        return AuditSettings(
            query=table.query,
            user_agent=table.user_agent,
            rotate_octets=table.rotate.size,
            rotate_daily=table.rotate.daily,
            keep_segments=table.keep.files,
            keep=Keeping(**{name: age or 0.0 for name, age in table.keep if name != "files"}),
            levels=dict(table.levels),
            pseudonyms=self._pseudonyms(),
            when_full=table.when_full,
            compress=table.compress,
            disk_octets=table.disk,
            to=sinks_of(table, self._folder),
            checkpoints_to=checkpoint_folders(table, self._folder),
        )
