"""The tables ``reports:`` and ``mail:``."""

from __future__ import annotations

import re
from typing import Annotated

from corpproxy.config.schema.leaves import Leaf, OneOrMany, Positive, Text, parsed, words, wrong
from corpproxy.config.schema.table import Table, as_in, asked, listing, optional
from corpproxy.destination.host import normal_host
from corpproxy.errors import ProtocolError
from corpproxy.reports.period import Every
from corpproxy.reports.scheduled import Scheduled

EveryWord = Annotated[Every, words(Every)]
FormatWord = Annotated[str, words(("html", "csv", "json", "text"), "format")]
TlsWord = Annotated[str, words(("starttls", "tls"), "way to TLS")]

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
# What is sure to be no address; whether somebody reads it only the mail says.
_MAIL = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[^\s@<>,;:\"()\[\]\\]{1,253}")


def _clock(written: str) -> int:
    match = _CLOCK.fullmatch(written)
    if match is None:
        raise wrong("not-a-time", f"wants a time of the day such as 06:00, not '{written}'")
    return int(match[1]) * 60 + int(match[2])


ClockTime = Annotated[
    int,
    Leaf(
        "time of the day",
        _clock,
        {"type": "string", "pattern": f"^{_CLOCK.pattern}$"},
        lambda minutes: f"{minutes // 60:02d}:{minutes % 60:02d}",
    ),
]


def _mail(written: str) -> str:
    if not _MAIL.fullmatch(written) or not written.isprintable():
        raise ValueError(f"'{written}' is no mail address; write one such as head@hillside.example")
    return written


MailAddress = Annotated[str, parsed("mail address", _mail, "bad-mail")]


def _server(written: str) -> tuple[str, int]:
    example = "write the name of the mail server, with its port: smtp.hillside.example:587"
    name, colon, port = written.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"'{written}' is no mail server; {example}")
    try:
        return normal_host(name.removeprefix("[").removesuffix("]")).name, int(port)
    except ProtocolError as error:
        raise ValueError(f"'{written}' is no mail server: {error.message}; {example}") from None


MailServer = Annotated[
    tuple[str, int], parsed("host:port", _server, "bad-mail-server", lambda it: f"{it[0]}:{it[1]}")
]


class MailTable(Table):
    """The mail server that takes what the service sends."""

    server: MailServer = asked("Its name and port; the certificate must be for that name.")
    sender: MailAddress = asked("Whom mail is from.")
    tls: TlsWord = optional(
        "``starttls`` (default) for servers that begin in the clear, as port 587 does; ``tls`` for port 465. "
        "Without TLS nothing is sent."
    )
    user: Text | None = optional("Who signs in there, where it wants that.")
    password: Text | None = optional("The file with the password, for the service alone.")
    authorities: Text | None = optional(
        "A file of certificates that vouch for the server; those of the system when it is left out."
    )


class ReportTable(Table):
    """A report that is made by itself."""

    name: Text = asked("What it is called, in mails and in names of files.")
    every: EveryWord = asked("How long its period is: ``day``, ``week`` (from Monday) or ``month``.")
    at: ClockTime = as_in(
        Scheduled, "at_minutes", "When it is made, on the day behind the period, in the time of the site."
    )
    group: Text | None = optional("People of this group alone.")
    top: Positive = as_in(Scheduled, "top", "How many rows a table has.")
    format: OneOrMany[FormatWord] = listing("``html`` (when left out), ``csv``, ``json``, ``text``.")
    folder: Text | None = optional("The folder to write it to, which must be there.")
    mail: OneOrMany[MailAddress] = listing("Whom to send it to; each gets a mail of their own.")
