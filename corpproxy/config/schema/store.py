"""The ``store:`` table: where what must outlive the service is kept, by one node or by several."""

from __future__ import annotations

from typing import Annotated, ClassVar
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from corpproxy.config.schema.leaves import Size, Text, parsed
from corpproxy.config.schema.table import Table, optional

SQLITE = "sqlite:"
_SHAPES = "sqlite:FILE or postgresql://USER@HOST/DATABASE"
# Parameters of a URL that have fields of their own, or that are ours.
_OWN = {
    "password": "'password:', the file in which it is",
    "options": "nothing; the service sets them",
    "sslrootcert": "'authorities:'",
    "sslcert": "'certificate:'",
    "sslkey": "'key:'",
}


def _place(written: str) -> str:
    if written.startswith(SQLITE):
        file = written.removeprefix(SQLITE)
        if not file or file.startswith("//") or "\0" in file:
            raise ValueError(f"'{written}' names no file; write it as sqlite:corpproxy.db")
        return written
    try:
        parts = urlsplit(written)
        _ = parts.port
    except ValueError as error:
        # What stands behind a colon may be a password: the error would quote it.
        why = "" if "@" in written else f": {error}"
        raise ValueError(f"'store' has no address that can be read{why}; write it as {_SHAPES}") from None
    if parts.password is not None:
        raise ValueError(
            "an address with a password would show it to everybody who reads the policy; "
            "write it into a file, and name that as 'password:'"
        )
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError(f"'{written}' is no store; write it as {_SHAPES}")
    if not parts.path.strip("/") or " " in written or not written.isprintable():
        raise ValueError(f"'{written}' names no database; write it as postgresql://USER@HOST/DATABASE")
    for name in parse_qs(parts.query, keep_blank_values=True):
        if name in _OWN:
            raise ValueError(f"'{name}' does not belong into the address of the store; write {_OWN[name]}")
    return written


StorePlace = Annotated[str, parsed(_SHAPES, _place, "bad-store")]


class StoreTable(Table):
    """
    Where usage, grants and sums are kept: in a file, or in a PostgreSQL database that several nodes share.

    Most write only its place: ``store: postgresql://corpproxy@db.school.example/corpproxy``.
    """

    short_for: ClassVar[str] = "at"

    at: StorePlace = Field(
        default="sqlite:corpproxy.db",
        description="``sqlite:FILE``, in the state folder where it is no complete path, or "
        "``postgresql://USER@HOST/DATABASE``.",
    )
    password: Text | None = optional(
        "A file with the password for the database; :file:`~/.pgpass` is asked when left out."
    )
    authorities: Text | None = optional(
        "A PEM file with the authorities that may vouch for the database; the connection is encrypted then, "
        "and to nobody else."
    )
    certificate: Text | None = optional("A PEM file with the certificate that we show, where we must.")
    key: Text | None = optional("A PEM file with its key, for the service alone.")
    spool: Size | None = optional(
        "How much may wait on this node's disk while the database is away; 256 MiB when left out."
    )

    @property
    def is_shared(self) -> bool:
        """Whether it is a database that other nodes may have, too."""
        return not self.at.startswith(SQLITE)
