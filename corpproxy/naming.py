"""Pseudonyms in a service: whether it gives them, by what the policy says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpproxy.audit.pseudonyms import Naming

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService


def naming_of(service: CorpproxyService, worker: int) -> Naming | None:
    """What gives pseudonyms in this process; None where the record has names."""
    configuration = service.configuration
    settings = configuration.audit.pseudonyms
    if not settings.keepers:
        return None
    # What encrypts is slow to import, and most sites do without.
    from corpproxy.backends.records.pseudonym_files import KeptNaming

    return KeptNaming(service.state, settings, configuration.time_zone, service.now, worker)
