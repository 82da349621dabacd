"""What becomes of the record after it was written: the parts of the service that look after its files."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from corpproxy import __version__
from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.backends.one_thread import OneThread
from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.backends.records.shelf import RecordShelf
from corpproxy.backends.sinks.child import Sinks
from corpproxy.counted import counted

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

# Of many segments that go together, so many are named.
MAX_NAMED = 10


def make_shelf(service: CorpproxyService) -> RecordShelf:
    """The shelf of closed segments: what is deleted is signed by the service's checkpoints, and recorded."""
    folder, thread = service.state / RECORDS_FOLDER, OneThread(service.reactor, "segments")

    def record(names: Sequence[str], why: str) -> None:
        service.books.deed(deed_of(service, names, why), service.configuration.version)

    return RecordShelf(
        folder,
        service.configuration.audit,
        thread,
        service.now,
        service.checkpoints.sign_dropped,
        record,
    )


def make_sinks(service: CorpproxyService) -> Sinks:
    """What takes records elsewhere, in a process of its own."""
    folder, state = service.state / RECORDS_FOLDER, service.state
    return Sinks(service.reactor, folder, state, __version__, socket.gethostname())


def deed_of(service: CorpproxyService, names: Sequence[str], why: str) -> Deed:
    """The deed of deleting segments, which nobody asked for but the policy."""
    now = service.now()
    said = ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
    return Deed(
        DeedName.RETAINED,
        now,
        by="",
        whom="",
        hosts=(),
        why=f"{counted(len(names), 'segment was', 'segments were')} deleted, {why}: {said}",
        request=service.proxy.references.next(now),
        source="policy",
        reached=(f"files={len(names)}",),
    )
