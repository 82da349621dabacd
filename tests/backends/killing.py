"""Drives children that are killed while they write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]


def killed_children(what: str, folder: str, kills: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield what each child said, when it is dead and before the next one begins."""
    command = [
        sys.executable,
        str(_ROOT / "tests" / "backends" / "killed.py"),
        what,
        folder,
        str(kills),
        str(seed),
    ]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for line in nursery.stdout:
            yield json.loads(line)
            nursery.stdin.write("\n")
            nursery.stdin.flush()
