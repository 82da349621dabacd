"""Real lists and logs, where the machine has them; they are never part of the project."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import SkipTest


def real_data(name: str) -> Path:
    """Give the path of a file of real data, or skip the test with the reason."""
    folder = Path(os.environ.get("CORPPROXY_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    path = folder / name
    if not path.exists():
        raise SkipTest(f"no real data at {path}; set CORPPROXY_DATA to a folder that has {name}")
    return path
