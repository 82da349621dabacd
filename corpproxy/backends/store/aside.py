"""Databases of the state folder that were damaged: set aside, and told until somebody has looked."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

# What SQLite has beside a database.
ENDINGS = ("-wal", "-shm")


def move_aside(path: Path, now: float) -> Path:
    """Move a damaged database where it can be looked at, and perhaps saved; gives its new name."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for ending in ("", *ENDINGS):
        with suppress(FileNotFoundError):
            os.replace(f"{path}{ending}", f"{aside}{ending}")
    return aside


def asides(state: Path) -> list[Path]:
    """The databases that were moved aside and are still there."""
    found = state.glob("*.db.damaged-*")
    return sorted(path for path in found if not path.name.endswith(ENDINGS))


def concerns_aside(state: Path) -> list[str]:
    """What somebody should look at, a sentence for each of them."""
    said = "was damaged and set aside, and a new one begun; look at it, and delete it when nobody needs it"
    return [f"{path} {said}" for path in asides(state)]
