"""The ``audit: to:`` table: where records go besides the files."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, model_validator

from corpproxy.audit.formats import FormatName
from corpproxy.audit.sinks import SPOOL_OCTETS, Packing, SinkKind
from corpproxy.config.schema.leaves import Size, Switch, Text, parsed, words, wrong
from corpproxy.config.schema.table import Table, asked, optional

KINDS = tuple(kind.value for kind in SinkKind)

_MAIL = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
# It is the name of a file, and a label of metrics.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def _address(schemes: tuple[str, ...], example: str) -> Callable[[str], str]:
    def read(written: str) -> str:
        try:
            parts = urlsplit(written)
            _ = parts.port
        except ValueError as error:
            # What stands behind a colon may be a password: the error would quote it.
            why = "" if "@" in written else f": {error}"
            raise ValueError(f"'{written}' is no address{why}; write it as {example}") from None
        if parts.scheme not in schemes or not parts.hostname or not written.isprintable() or " " in written:
            raise ValueError(f"'{written}' is no address of that kind; write it as {example}")
        _no_secret(parts)
        return written

    return read


def _no_secret(parts: SplitResult) -> None:
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "an address with a password would show it to everybody who reads the policy; "
            "write it into a file, and name that"
        )


def _database(written: str) -> str:
    if "password" in written.lower():
        raise ValueError(
            "a connection with a password would show it to everybody who reads the policy; "
            "write it into a file, and name that as 'password:'"
        )
    if "://" in written:
        parts = urlsplit(written)
        if parts.scheme not in ("postgresql", "postgres"):
            raise ValueError(f"'{written}' is no database; write it as postgresql://USER@HOST/DATABASE")
        if parts.password is not None:
            _no_secret(parts)
    elif "=" not in written:
        raise ValueError(f"'{written}' is no database; write it as postgresql://USER@HOST/DATABASE")
    return written


def _mail(written: str) -> str:
    if not _MAIL.fullmatch(written):
        raise ValueError(f"'{written}' is no mail address; write it as auditor@school.example")
    return written


def _name(written: str) -> str:
    if not _NAME.fullmatch(written):
        raise ValueError(f"'{written}' is no name of a sink; it has letters, digits, - and _, at most 40")
    return written


SyslogAddress = Annotated[
    str, parsed("tls://HOST:PORT or tcp://HOST:PORT", _address(("tls", "tcp"), "tls://HOST:6514"), "bad-sink")
]
HttpAddress = Annotated[str, parsed("URL", _address(("https", "http"), "https://HOST/PATH"), "bad-sink")]
Database = Annotated[str, parsed("postgresql://USER@HOST/DATABASE", _database, "bad-sink")]
MailAddress = Annotated[str, parsed("mail address", _mail, "bad-sink")]
MailServer = Annotated[
    str, parsed("smtps://HOST or smtp://HOST", _address(("smtps", "smtp"), "smtps://HOST:465"), "bad-sink")
]
SinkName = Annotated[str, parsed("name", _name, "bad-sink")]
FormatWord = Annotated[FormatName, words(FormatName)]
PackingWord = Annotated[Packing, words(Packing)]


class SinkTable(Table):
    """
    One place where records go besides their files, over which they never wait.

    Exactly one of ``syslog``, ``http``, ``postgresql``, ``file`` and ``mail`` says where.
    """

    name: SinkName = asked("The name by which the log, the metrics and ``checkpoints_to`` call it.")
    syslog: SyslogAddress | None = optional(
        "A syslog server, RFC 5424 with octet counting: ``tls://HOST:6514``, or ``tcp://HOST:601``."
    )
    http: HttpAddress | None = optional("A collector that takes lines in POST requests.")
    postgresql: Database | None = optional("A database, without its password.")
    file: Text | None = optional("A file in another format; it is rotated and kept as the record is.")
    mail: MailAddress | None = optional("Whom checkpoints are mailed to; needs ``through``.")
    records: Switch | None = optional("Whether it gets records; ``no`` for one that gets checkpoints alone.")
    format: FormatWord | None = optional("How a record is written; ``json``, as in the files, when left out.")
    template: Text | None = optional(
        "A format of one's own: text with fields of the record in braces, as ``{at} {user} {host} {result}``."
    )
    authorities: Text | None = optional(
        "A PEM file with the authorities that may vouch for the server; those of the system when left out."
    )
    certificate: Text | None = optional("A PEM file with the certificate that we show, where we must.")
    key: Text | None = optional("A PEM file with its key, for the service alone.")
    token: Text | None = optional("A file with the token that a collector wants (``Authorization: Bearer``).")
    user: Text | None = optional("The name at the mail server.")
    password: Text | None = optional("A file with the password for the database or the mail server.")
    through: MailServer | None = optional(
        "The mail server: ``smtps://HOST:465``, or ``smtp://HOST:587``, which must offer STARTTLS."
    )
    sender: MailAddress | None = optional("Who the mail is from; whom it is for when left out.")
    compress: PackingWord | None = optional("How batches are packed for a collector; ``none`` when left out.")
    spool: Size = Field(
        SPOOL_OCTETS,
        description="How far it may fall behind, in octets of the files; beyond it, the oldest are dropped "
        "for it, and counted.",
    )

    @model_validator(mode="after")
    def one_kind(self) -> SinkTable:
        """Refuse a sink that goes nowhere, or to several places."""
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            found = "has " + " and ".join(kinds) if kinds else "has none"
            raise wrong("one-kind", f"wants exactly one of {', '.join(KINDS)}; this one {found}")
        return self

    @property
    def kind(self) -> SinkKind:
        """Where it goes."""
        return next(kind for kind in SinkKind if getattr(self, kind.value) is not None)
