"""The address of the store, made from its table."""

from __future__ import annotations

from pathlib import Path

from corpproxy.accounting.store_address import SPOOL_OCTETS, StoreAddress
from corpproxy.config.schema.store import SQLITE, StoreTable


def store_of(table: StoreTable, folder: Path, state: Path) -> StoreAddress:
    """Make the address; a file of SQLite is in the state folder, other paths begin at ``folder``."""

    def file(written: str | None) -> str:
        return str(folder / written) if written is not None else ""

    if not table.is_shared:
        return StoreAddress(file=str(state / table.at.removeprefix(SQLITE)), state=str(state))
    return StoreAddress(
        database=table.at,
        password=file(table.password),
        authorities=file(table.authorities),
        certificate=file(table.certificate),
        key=file(table.key),
        state=str(state),
        spool_octets=table.spool or SPOOL_OCTETS,
    )
