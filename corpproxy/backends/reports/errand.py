"""
The reports that the policy asks for: made when they are due, written to their folders, sent by mail.

What was made and sent is noted in the state folder, so that each report comes once.  One that cannot be
sent is tried again until the next one is due; one whose time came while the service did not run is made
when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from corpproxy.accounting.store_address import StoreAddress
from corpproxy.audit.deeds import Deed, DeedName
from corpproxy.backends.records.deed_spool import leave, new_reference
from corpproxy.backends.reports.mail import MailFailed, report_mail, send
from corpproxy.backends.reports.make import WRITERS, ReportOrder, figures_of
from corpproxy.backends.state_folder import put_file
from corpproxy.errors import CorpproxyError
from corpproxy.policy.days import Days
from corpproxy.reports.figures import Figures
from corpproxy.reports.period import Period
from corpproxy.reports.scheduled import MailSettings, Scheduled

# In the state folder.
REPORTS_FILE = "reports.json"

_ENDINGS = {"html": "html", "csv": "csv", "json": "json", "text": "txt"}


class Came(msgspec.Struct):
    """How far the report of a period came: whether it was written to its folder, and who got it by mail."""

    period: str
    is_written: bool = False
    sent: list[str] = []


@dataclass(frozen=True, slots=True)
class ReportErrand:
    """
    Makes the reports of a site, writes and sends them.

    ``now`` is POSIX seconds.  ``is_rolled_up`` where the roll-ups were brought up to date just now.
    """

    state: Path
    site: str
    mail: MailSettings | None
    now: float
    is_rolled_up: bool = False
    store: StoreAddress | None = None

    def make_due(self, reports: Iterable[Scheduled], days: Days) -> list[str]:
        """
        Make the reports that are due and did not come yet; gives what could not be done, in words.

        A report that is new in the policy begins with the next period: nobody waits for the one before.
        """
        known = _known(self.state)
        said: list[str] = []
        for report in reports:
            period = report.due(self.now, days)
            came = known.get(report.name)
            if came is None:
                known[report.name] = Came(period.name, True, list(report.mail))
                _note(self.state, known)
                continue
            if came.period != period.name:
                came = known[report.name] = Came(period.name)
            if not _is_whole(report, came):
                said += self.deliver(report, period, came, lambda: _note(self.state, known))
                if _is_whole(report, came):
                    self.record(report, period, came, "corpproxy", "")
        return said

    def deliver(
        self, report: Scheduled, period: Period, came: Came, note: Callable[[], None] = lambda: None
    ) -> list[str]:
        """
        Make a report, write it and send it, as far as that has not been done; ``note`` is called after each
        step.

        Gives what could not be done, in words.
        """
        said: list[str] = []
        order = ReportOrder(
            self.site,
            self.state,
            period,
            report.group,
            "",
            report.top,
            is_rolled_up=self.is_rolled_up,
            store=self.store,
        )
        try:
            figures = figures_of(order, self.now, said.append)
        except (CorpproxyError, OSError) as error:
            return [f"report '{report.name}' cannot be made: {_words(error)}"]
        files = {
            report.file_name(period, _ENDINGS[kind]): (kind, WRITERS[kind](figures))
            for kind in report.formats
        }
        if report.folder is not None and not came.is_written:
            try:
                for name, (_, text) in files.items():
                    put_file(report.folder / name, text.encode("utf-8", "replace"), 0o640)
                came.is_written = True
                note()
            except OSError as error:
                said.append(f"report '{report.name}' cannot be written to {report.folder}: {_words(error)}")
        said += self._send(report, figures, files, came, note)
        return said

    def record(self, report: Scheduled, period: Period, came: Came, by: str, source: str) -> None:
        """
        Leave for the record that a report went out, and where to.

        :raises OSError: when that cannot be left.
        """
        to = [*([str(report.folder)] if came.is_written and report.folder is not None else []), *came.sent]
        why = f"report '{report.name}' of {period.name} to {', '.join(to)}"
        reference = new_reference(self.now)
        deed = Deed(DeedName.REPORT_SENT, self.now, by, "", (), why=why, request=reference, source=source)
        leave(self.state, deed)

    def _send(
        self,
        report: Scheduled,
        figures: Figures,
        files: dict[str, tuple[str, str]],
        came: Came,
        note: Callable[[], None],
    ) -> list[str]:
        said: list[str] = []
        subject = f"{figures.site}: {report.name}, {figures.period.words}"
        message = report_mail(subject, WRITERS["text"](figures), files, self.now)
        for address in report.mail:
            if self.mail is None or address in came.sent:
                continue
            try:
                send(message, address, self.mail)
            except MailFailed as error:
                said.append(f"report '{report.name}': {error.message}")
            else:
                came.sent.append(address)
                note()
        return said


def _is_whole(report: Scheduled, came: Came) -> bool:
    return (report.folder is None or came.is_written) and set(report.mail) <= set(came.sent)


def _known(state: Path) -> dict[str, Came]:
    """What came until now; a file that cannot be read is as one that is not there."""
    try:
        return msgspec.json.decode((state / REPORTS_FILE).read_bytes(), type=dict[str, Came])
    except (OSError, msgspec.DecodeError):
        return {}


def _note(state: Path, known: dict[str, Came]) -> None:
    put_file(state / REPORTS_FILE, msgspec.json.encode(known), 0o600)


def _words(error: Exception) -> str:
    if isinstance(error, CorpproxyError):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
