"""From a Configuration to what is in force; what outlives a reload is handed in."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from socket import gethostname

from corpproxy.backends.reception import Reception
from corpproxy.config.configuration import Configuration
from corpproxy.config.listeners import Purpose
from corpproxy.destination.classifier import Classifier, missing_categories
from corpproxy.destination.index import CategoryIndex
from corpproxy.exchange.in_force import InForce
from corpproxy.identity.basic import challenge
from corpproxy.identity.forms import Signer
from corpproxy.identity.grants import Grants
from corpproxy.pages.pac import PacTable, compile_pac
from corpproxy.pages.portal import Portal
from corpproxy.pages.refusals import Refusals
from corpproxy.pages.render import Pages
from corpproxy.pages.site import Site


@dataclass(frozen=True, slots=True)
class Lasting:
    """What a reload does not touch: grants, the refusals that people look up, the key of forms, sign-ins."""

    grants: Grants
    refusals: Refusals
    signer: Signer
    reception: Reception


def assemble(configuration: Configuration, index: CategoryIndex | None, lasting: Lasting) -> InForce:
    """
    Build what exchanges are decided by.

    Nothing running is changed by it but the reception, which takes the people of the policy.
    """
    site = Site(
        configuration.site,
        configuration.contact,
        configuration.logo,
        configuration.portal,
        configuration.identity.realm,
        configuration.time_zone,
    )
    signer = lasting.signer
    pages = Pages(site, signer.seal)
    classifier = classifier_of(configuration, index)
    settings = configuration.identity
    return InForce(
        version=configuration.version,
        lists=list_versions(index),
        site=site,
        classifier=classifier,
        people=lasting.reception.take(settings),
        policy=configuration.policy.with_missing(classifier.missing),
        safe_search=configuration.safe_search,
        challenges=(challenge(settings.realm),) if settings.methods else (),
        recall=lasting.reception.recall,
        grants=lasting.grants,
        refusals=lasting.refusals,
        pages=pages,
        portal=Portal(pages, pac_file(configuration), lasting.refusals, signer.seal, signer.unseal),
        limits=configuration.http,
        connections=configuration.connections,
        timeouts=configuration.timeouts,
        forwarding=configuration.forwarding,
        audit=configuration.audit,
    )


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
        listener = configuration.listening(Purpose.FORWARD)[0]
        address = ip_address(listener.address)
        host = gethostname() if address.is_unspecified else listener.address
        host = f"[{host}]" if ":" in host else host
        table = PacTable(proxy=(f"{host}:{listener.port}",), portal=configuration.portal.name)
    return compile_pac(table)
