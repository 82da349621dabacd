"""The name by which a node is known to the others: made once, and kept in its state folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

NODE_FILE = "node"


def node_of(state: Path) -> str:
    """
    Give the name of the node that has this state folder.

    :raises OSError: when it can neither be read nor made.
    """
    path = state / NODE_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        name = path.read_text("ascii").strip()
        if name:
            return name
        # Cut off while it was made.
        path.unlink()
        return node_of(state)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(8) + "\n")
        file.flush()
        os.fsync(descriptor)
    return node_of(state)
