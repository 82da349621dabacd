"""The sinks of a policy, made from its tables."""

from __future__ import annotations

from pathlib import Path

from corpproxy.audit.formats import FormatName
from corpproxy.audit.sinks import Packing, SinkKind, SinkSettings
from corpproxy.config.schema.audit import AuditTable
from corpproxy.config.schema.sinks import SinkTable


def sinks_of(table: AuditTable, folder: Path) -> tuple[SinkSettings, ...]:
    """Make the sinks; paths begin at ``folder``."""
    named = set(table.checkpoints_to)
    return tuple(_sink(one, table, folder, has_checkpoints=one.name in named) for one in table.to)


def checkpoint_folders(table: AuditTable, folder: Path) -> tuple[Path, ...]:
    """The folders that get checkpoints; what is the name of a sink is none."""
    sinks = {one.name for one in table.to}
    return tuple(folder / name for name in table.checkpoints_to if name not in sinks)


def _sink(one: SinkTable, table: AuditTable, folder: Path, *, has_checkpoints: bool) -> SinkSettings:
    def file(written: str | None) -> str:
        return str(folder / written) if written is not None else ""

    kind = one.kind
    to = getattr(one, kind.value)
    is_mail = kind is SinkKind.MAIL
    return SinkSettings(
        name=one.name,
        kind=kind,
        to=file(to) if kind is SinkKind.FILE else to,
        format=one.format or FormatName.JSON,
        template=one.template or "",
        authorities=file(one.authorities),
        certificate=file(one.certificate),
        key=file(one.key),
        token=file(one.token),
        user=one.user or "",
        password=file(one.password),
        through=one.through or "",
        sender=one.sender or "",
        packing=one.compress or Packing.NONE,
        spool_octets=one.spool,
        rotate_octets=table.rotate.size,
        rotate_daily=table.rotate.daily,
        keep_files=table.keep.files,
        keep_seconds=table.keep.record or 0.0,
        records=(True if one.records is None else one.records) and not is_mail,
        checkpoints=has_checkpoints,
    )
