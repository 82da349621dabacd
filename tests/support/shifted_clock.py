"""A clock that a test can set, for processes that the test starts."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_suffix(".c")


class ShiftedClock:
    """
    The clock of processes that are started with this ``environment``.

    :ivar shift: how many seconds it is before that of the machine.
    """

    def __init__(self, folder: Path) -> None:
        library = folder / "shifted_clock.so"
        self._file = folder / "shift"
        self.set(0)
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"]
        subprocess.run(command, check=True, capture_output=True)
        self.environment = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(self._file)}

    def set(self, seconds: float) -> None:
        """Set it to so many seconds before the clock of the machine."""
        self.shift = seconds
        # In place: the processes have it mapped.
        file = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(file, struct.pack("=d", seconds), 0)
        os.close(file)
