"""Sending a report by mail: over TLS or not at all, and to each a mail of their own."""

from __future__ import annotations

import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from corpproxy.audit.line import printable
from corpproxy.errors import CorpproxyError
from corpproxy.reports.scheduled import MailSettings

# A mail server that does not answer within this does not answer.
TIMEOUT_SECONDS = 30.0

_TYPES = {"html": "text/html", "csv": "text/csv", "json": "application/json", "text": "text/plain"}


class MailFailed(CorpproxyError):
    """A report could not be sent; the message says to whom, and what the server said."""


def report_mail(subject: str, body: str, attached: dict[str, tuple[str, str]], now: float) -> EmailMessage:
    """
    Make a mail; ``attached`` has for the name of each file its format and its text.

    Names that stand in the subject cannot make further fields of it.
    """
    mail = EmailMessage()
    mail["Subject"] = printable(subject)
    mail["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body)
    for name, (kind, text) in attached.items():
        octets = text.encode("utf-8", "replace")
        maintype, _, subtype = _TYPES[kind].partition("/")
        mail.add_attachment(octets, maintype, subtype, filename=name, params={"charset": "utf-8"})
    return mail


def send(mail: EmailMessage, to: str, settings: MailSettings) -> None:
    """
    Send a mail to one address.

    :raises MailFailed: when the server cannot be reached, is not who it should be, or does not take it.
    """
    for field, value in (("From", settings.sender), ("To", to), ("Message-ID", _id(settings))):
        del mail[field]
        mail[field] = value
    try:
        password = settings.password.read_text().strip() if settings.password is not None else ""
        with _connected(settings) as server:
            if settings.user:
                server.login(settings.user, password)
            server.send_message(mail, settings.sender, [to])
    except (OSError, smtplib.SMTPException) as error:
        said = f"no mail to {to} through {settings.host}:{settings.port}: {_words(error)}"
        raise MailFailed("mail-failed", said) from error


def _connected(settings: MailSettings) -> smtplib.SMTP:
    authorities = None if settings.authorities is None else str(settings.authorities)
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.starts_plain:
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_SECONDS)
    try:
        server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def _id(settings: MailSettings) -> str:
    return make_msgid(domain=settings.sender.rpartition("@")[2])


def _words(error: Exception) -> str:
    """What went wrong, in the words of the server where there are any; never a password."""
    if isinstance(error, smtplib.SMTPResponseException):
        octets = error.smtp_error
        said = octets.decode("utf-8", "replace") if isinstance(octets, bytes) else octets
        return printable(f"{error.smtp_code} {said}")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, octets = next(iter(error.recipients.values()))
        return printable(f"{code} {octets.decode('utf-8', 'replace')}")
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return printable(str(error)) or type(error).__name__
