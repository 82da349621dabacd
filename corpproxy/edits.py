"""The record of who changed the policy, and what: a deed for each version that comes into force."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.backends.policies.history import History, HistoryError, Run
from corpproxy.config.changes import changes
from corpproxy.counted import counted
from corpproxy.errors import Problem
from corpproxy.net.caller import user_name

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

COMMAND = "command"
START = "start"


class Edits:
    """Records edits of the policy for a service."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self._under_way: Deferred[Any] = succeed(None)

    def taken(self, run: Run) -> None:
        """
        Record that the version in force came into force; it is not among the kept ones yet.

        A start with the version that ran before is no edit.
        """
        service = self._service
        history = History(service.state)
        before = history.last_good()
        version = service.configuration.version
        if run.why == START and (before is None or before.version == version):
            return
        try:
            texts = history.texts(before) if before is not None else {}
        except HistoryError:
            texts = {}
        folder, zone = service.configuration.folder, service.configuration.time_zone
        pool = service.reactor.getThreadPool()
        told = deferToThreadPool(service.reactor, pool, _words, texts, dict(service.texts), folder, zone)
        told.addCallback(self._record, DeedName.POLICY_TAKEN, run, version)
        self._under_way = told.addErrback(_not_recorded)

    def refused(self, by: str, problems: tuple[Problem, ...]) -> None:
        """Record that a policy was asked for that cannot come into force."""
        errors = [problem for problem in problems if problem.is_error]
        first = f": {errors[0]}" if errors else ""
        said = f"{counted(len(errors), 'problem')}{first}" if len(errors) != 1 else str(errors[0])
        service = self._service
        run = Run(service.now(), by, 0, "reload")
        self._record(said, DeedName.POLICY_REFUSED, run, service.configuration.version)

    def settle(self) -> Deferred[Any]:
        """Fires when what happened is with the writer of the record."""
        return self._under_way

    def _record(self, why: str, name: DeedName, run: Run, version: str) -> None:
        service = self._service
        reference = service.proxy.references.next(run.at)
        deed = Deed(name, run.at, run.by, "", (), why=why, request=reference, source=COMMAND)
        service.books.deed(deed, version)


def _words(before: Mapping[str, bytes], after: Mapping[str, bytes], folder: Path, zone: tzinfo) -> str:
    """What changed, and whose files they are that did."""
    said = changes(before, after) if before else ["the first policy that ran here"]
    files = [_file(folder, name, zone) for name in after if after[name] != before.get(name)]
    files += [f"{name} is gone" for name in before if name not in after]
    return "; ".join([*(said or ["nothing changed"]), *files])


def _file(folder: Path, name: str, zone: tzinfo) -> str:
    try:
        found = (folder / name).stat()
    except OSError:
        return name
    written = datetime.fromtimestamp(found.st_mtime, zone)
    return f"{name} of {user_name(found.st_uid)}, written {written:%Y-%m-%d %H:%M}"


def _not_recorded(failure: Failure) -> None:
    log.failure("what an edit of the policy changed cannot be recorded", failure)
