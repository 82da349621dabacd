"""Mail: each checkpoint in a message, to somebody who keeps them where the service cannot reach."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from urllib.parse import urlsplit

from corpproxy.audit.checkpoint import read_checkpoint
from corpproxy.audit.sinks import SinkSettings
from corpproxy.backends.sinks.delivery import Entry, SinkFailure
from corpproxy.backends.sinks.follow import Positions
from corpproxy.backends.sinks.tls import tls_context

PORTS = {"smtps": 465, "smtp": 587}
ANSWER_SECONDS = 30.0
_SAID = """Keep this message: it shows later whether the record was changed since.

    corpproxy audit verify --key audit.pub --checkpoint THIS-MESSAGE
"""


class MailSink:
    """Sends checkpoints by mail; TLS is never done without."""

    confirm_seconds = 0.0

    def __init__(self, settings: SinkSettings, host: str) -> None:
        self._settings = settings
        self._host = host
        parts = urlsplit(settings.through)
        self._scheme = parts.scheme
        self._server = parts.hostname or ""
        self._port = parts.port or PORTS[parts.scheme]

    def send(self, entries: Sequence[Entry], positions: Positions) -> int:
        """Records do not go by mail."""
        return 0

    def send_checkpoint(self, line: bytes) -> None:
        """
        Send a checkpoint.

        :raises SinkFailure: when the server does not take it now.
        """
        try:
            server = self._connected()
            server.send_message(self._message(line))
        except (OSError, smtplib.SMTPException) as error:
            raise SinkFailure(f"{self._server} takes no mail: {error}") from error
        # It has the mail; how it takes our leave is all the same.
        with suppress(OSError, smtplib.SMTPException):
            server.quit()

    def positions(self) -> Positions:
        """There are none."""
        return {}

    def is_taken(self) -> bool:
        """The server said so."""
        return True

    def close(self) -> None:
        """Each message has a connection of its own."""

    def _connected(self) -> smtplib.SMTP:
        context = tls_context(self._settings)
        server: smtplib.SMTP
        if self._scheme == "smtps":
            server = smtplib.SMTP_SSL(self._server, self._port, timeout=ANSWER_SECONDS, context=context)
        else:
            server = smtplib.SMTP(self._server, self._port, timeout=ANSWER_SECONDS)
            server.starttls(context=context)
        if self._settings.user:
            password = Path(self._settings.password).read_text(encoding="utf-8").strip()
            server.login(self._settings.user, password)
        return server

    def _message(self, line: bytes) -> EmailMessage:
        checkpoint = read_checkpoint(line)
        message = EmailMessage()
        message["Subject"] = f"corpproxy on {self._host}: checkpoint {checkpoint.number} of {checkpoint.at}"
        message["From"] = self._settings.sender or self._settings.to
        message["To"] = self._settings.to
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = make_msgid(domain=self._host or "localhost")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(_SAID)
        name = f"checkpoint-{checkpoint.number}.jsonl"
        message.add_attachment(line, maintype="application", subtype="jsonl", filename=name)
        return message
