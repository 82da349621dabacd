"""From a Configuration to what is in force; what outlives a reload is handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from socket import gethostname

from corpproxy.audit.discretion import Discretion, discretion_of
from corpproxy.backends.geography import open_geography
from corpproxy.backends.people.reception import Reception
from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.destination.classifier import Classifier, missing_categories
from corpproxy.destination.index import CategoryIndex
from corpproxy.exchange.in_force import InForce
from corpproxy.identity.basic import challenge
from corpproxy.identity.forms import Signer
from corpproxy.identity.grants import Grants
from corpproxy.identity.group_lines import read_groups
from corpproxy.identity.model import Identity
from corpproxy.identity.people import People
from corpproxy.identity.requests import Requests
from corpproxy.identity.settings import Ask, IdentitySettings
from corpproxy.pages.desk import Access
from corpproxy.pages.holdings import Holding, holding
from corpproxy.pages.pac import PacTable, compile_pac
from corpproxy.pages.portal import Portal
from corpproxy.pages.refusals import Refusals
from corpproxy.pages.render import Pages
from corpproxy.pages.site import Site
from corpproxy.policy.decide import Policy
from corpproxy.policy.limits import Limits
from corpproxy.policy.question import Surroundings
from corpproxy.policy.quota import Standings
from corpproxy.policy.set_limits import SetLimits


@dataclass(slots=True)
class Lasting:
    """
    What a reload does not touch: grants, requests, the refusals that people look up, the key of forms,
    sign-ins, the limits that administrators set.
    """

    grants: Grants
    requests: Requests
    refusals: Refusals
    signer: Signer
    reception: Reception
    set_limits: SetLimits = field(default_factory=SetLimits)
    standings: Standings = field(default_factory=Standings)
    # Those in force: of the policy together with those that are set.
    limiting: Callable[[], Limits | None] = lambda: None


def assemble(configuration: Configuration, index: CategoryIndex | None, lasting: Lasting) -> InForce:
    """
    Build what exchanges are decided by.

    Nothing that runs is changed by it but the reception, which takes the people of the policy; that comes
    last, so that a failure before it changes nothing at all.
    """
    site = site_of(configuration)
    pages = Pages(site, lasting.signer.seal)
    classifier = classifier_of(configuration, index)
    policy = configuration.policy.with_missing(classifier.missing)
    exemptions = configuration.exemptions.with_missing(classifier.missing)
    settings = configuration.identity
    portal = _portal(configuration, pages, lasting)
    limiting = limits_of(configuration, classifier, lasting)
    discretion = _discretion(configuration, classifier)
    geography = open_geography(configuration.geography)
    people = lasting.reception.take(settings)
    lasting.grants.rooms = people.networks_of
    return InForce(
        version=configuration.version,
        lists=list_versions(index),
        site=site,
        classifier=classifier,
        policy=policy,
        approvals=configuration.approvals,
        needs_addresses=reads_addresses(policy),
        needs_networks="addresses" in policy.reads,
        geography=geography,
        needs_agent="agent" in policy.reads | exemptions.reads,
        needs_answer="answer" in policy.reads,
        safe_search=configuration.safe_search,
        challenges=(challenge(settings.realm),) if settings.methods else (),
        recall=lasting.reception.recall,
        recognise=lasting.reception.recognise,
        grants=lasting.grants,
        requests=lasting.requests,
        refusals=lasting.refusals,
        pages=pages,
        portal=portal,
        limits=configuration.http,
        connections=configuration.connections,
        timeouts=configuration.timeouts,
        forwarding=configuration.forwarding,
        via=configuration.forwarding.via.encode() or None,
        audit=configuration.audit,
        people=people,
        exemptions=exemptions,
        limiting=limiting,
        discretion=discretion,
    )


def _portal(configuration: Configuration, pages: Pages, lasting: Lasting) -> Portal:
    reception, signer = lasting.reception, lasting.signer
    return Portal(
        pages,
        pac_file(configuration),
        lasting.refusals,
        signer.seal,
        signer.unseal,
        pac_uri=pac_uri(configuration),
        access=Access(
            configuration.approvals,
            lasting.requests,
            lasting.grants,
            lambda: reception.people,
            lambda: _limits_now(lasting),
        ),
        holdings=lambda *asked: _holdings(lasting, *asked),
        has_days=True,
    )


def _limits_now(lasting: Lasting) -> Limits | None:
    """The limits in force; the proxy that has them is made later than what is first in force."""
    return lasting.limiting()


def reads_addresses(policy: Policy) -> bool:
    """Whether a rule asks for what is known of the addresses of a host."""
    return not policy.reads.isdisjoint(("address_classes", "addresses", "countries", "asns"))


def limits_of(configuration: Configuration, classifier: Classifier, lasting: Lasting) -> Limits | None:
    """The limits of a policy and those that are set; None without any, so that exchanges need not ask."""
    networks = configuration.policy.networks
    limits = lasting.set_limits.among(configuration.limits.limits, networks)
    return Limits(limits, networks, classifier.missing, lasting.standings) if limits else None


def _holdings(
    lasting: Lasting, identity: Identity, client: str, listener: str, at: float
) -> tuple[Holding, ...]:
    """The limits of somebody, for their own page."""
    limiting, standings = _limits_now(lasting), lasting.standings
    if limiting is None:
        return ()
    found = limiting.of(identity, client, listener, at)
    by_hand = {one.name: one.until for one in lasting.set_limits.entries}
    ends = [(by_hand.get(one.limit.name, 0.0), one.limit.holds_until(at)) for one in found]
    return tuple(
        holding(one, standings, at, min((end for end in both if end), default=0.0))
        for one, both in zip(found, ends, strict=True)
    )


def with_limits(in_force: InForce, configuration: Configuration, lasting: Lasting) -> InForce:
    """Put other limits in the place of the old ones."""
    return replace(in_force, limiting=limits_of(configuration, in_force.classifier, lasting))


def site_of(configuration: Configuration) -> Site:
    """What pages say of the site."""
    return Site(
        configuration.site,
        configuration.contact,
        configuration.logo,
        configuration.portal,
        configuration.identity.realm,
        configuration.time_zone,
    )


def people_of(settings: IdentitySettings) -> People:
    """The people of a policy that does not run, with what its groups file says just now."""
    file = settings.groups_file
    if file is None:
        return People(settings)
    try:
        return People(settings, read_groups(file.read_bytes(), str(file)).of)
    except OSError:
        # The check of the policy tells of a file that is missing.
        return People(settings)


def surroundings_of(configuration: Configuration, classifier: Classifier) -> Surroundings:
    """What questions to a policy that does not run are answered with."""
    forward = configuration.listening(Purpose.FORWARD)
    return Surroundings(
        classifier.classify,
        people_of(configuration.identity),
        forward[0].name if forward else "",
        asks_to_sign_in=bool(configuration.identity.methods),
        asks_always=configuration.identity.ask is Ask.ALWAYS,
        exemptions=configuration.exemptions.with_missing(classifier.missing),
    )


def with_lists(in_force: InForce, configuration: Configuration, index: CategoryIndex) -> InForce:
    """Put a new index of the category lists in the place of the old one."""
    classifier = classifier_of(configuration, index)
    policy = configuration.policy.with_missing(classifier.missing)
    return replace(
        in_force,
        lists=list_versions(index),
        classifier=classifier,
        policy=policy,
        needs_addresses=reads_addresses(policy),
        needs_networks="addresses" in policy.reads,
        exemptions=configuration.exemptions.with_missing(classifier.missing),
        limiting=in_force.limiting and in_force.limiting.with_missing(classifier.missing),
        discretion=_discretion(configuration, classifier),
    )


def _discretion(configuration: Configuration, classifier: Classifier) -> Discretion:
    """What records leave out, by every name that a category has."""
    levels = configuration.audit.levels
    return discretion_of(levels, {name: classifier.same_categories(name) for name in levels})


def classifier_of(configuration: Configuration, index: CategoryIndex | None) -> Classifier:
    """Put lists, own categories and exceptions together."""
    missing = missing_categories(configuration.lists, index)
    return Classifier(index, configuration.own, configuration.exceptions, missing)


def list_versions(index: CategoryIndex | None) -> tuple[str, ...]:
    """The lists in use, as they stand in records."""
    if index is None:
        return ()
    return tuple(f"{name}={version}" for name, version in sorted(index.versions.items()))


def pac_file(configuration: Configuration) -> bytes:
    """
    Compile the PAC file.

    A policy without a ``pac:`` table sends everything to its first forward listener, by the name of this
    machine where that listens on all addresses.
    """
    table = configuration.pac
    if table is None:
        forward = configuration.listening(Purpose.FORWARD)[0]
        table = PacTable(proxy=(_reached_at(forward),), portal=configuration.portal.name)
    return compile_pac(table)


def pac_uri(configuration: Configuration) -> str:
    """Where devices find the PAC file; empty without a portal listener."""
    listeners = configuration.listening(Purpose.PORTAL)
    if not listeners:
        return ""
    authority = _reached_at(listeners[0])
    if configuration.pac is not None and ip_address(listeners[0].address).is_unspecified:
        # The name by which devices reach the proxy, which the policy tells, reaches this port too.
        host = configuration.pac.proxy[0].rpartition(" ")[2].rpartition(":")[0]
        authority = f"{host}:{listeners[0].port}"
    return f"http://{authority.removesuffix(':80')}/proxy.pac"


def _reached_at(listener: Listener) -> str:
    """Host and port by which a listener is reached from elsewhere, as far as we can know."""
    host = gethostname() if ip_address(listener.address).is_unspecified else listener.address
    return f"[{host}]:{listener.port}" if ":" in host else f"{host}:{listener.port}"
