"""Where the store is: a file on this machine, or a database that several nodes share."""

from __future__ import annotations

from pathlib import Path

import msgspec

# Below the state folder of the policy, where nothing else is said.
STORE_FILE = "corpproxy.db"
# What waits for a database that is away may be so large: a busy node of a thousand people writes some
# 20 MiB an hour.
SPOOL_OCTETS = 256 * 1024 * 1024


class StoreAddress(msgspec.Struct, frozen=True):
    """
    Where the store is.

    ``file`` is that of SQLite; with ``database``, the URL of PostgreSQL, there is none.  The others are
    complete paths, empty where they are not said; ``state`` is the state folder of this node.
    """

    file: str = ""
    database: str = ""
    password: str = ""
    authorities: str = ""
    certificate: str = ""
    key: str = ""
    state: str = ""
    spool_octets: int = SPOOL_OCTETS

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may use it."""
        return bool(self.database)

    @property
    def written(self) -> str:
        """How people call it."""
        return self.database or self.file


def in_state_folder(state: Path) -> StoreAddress:
    """Give the address of the store that is used when the policy says nothing."""
    return StoreAddress(file=str(state / STORE_FILE), state=str(state))
