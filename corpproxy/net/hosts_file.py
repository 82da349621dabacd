"""Names that a file answers for: /etc/hosts, taken up again when it changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet.abstract import isIPAddress, isIPv6Address

# How often a look-up may ask whether the file changed.  A person who edits it and reloads a page waits
# longer than that; a look-up from the cache pays for it once a second instead of every time.
CHECK_SECONDS = 1.0

# A hosts file for blocking holds a few hundred thousand lines (15 MB); what is larger is a mistake.
MAX_FILE_OCTETS = 64 * 1024 * 1024


def hosts_table(text: str) -> dict[str, list[str]]:
    """
    Read the text of a hosts file (hosts(5)): for each name, in lower case, its addresses in file order.

    A name on several lines has all their addresses.  Lines that do not begin with an address are passed over,
    as the C library does.
    """
    table: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if not (isIPAddress(address) or isIPv6Address(address)):
            continue
        for name in names:
            addresses = table.setdefault(name.lower().rstrip("."), [])
            if address not in addresses:
                addresses.append(address)
    return table


class WatchedFile:
    """
    A small text file that others edit: ``take_up`` says whether its text is another than before.

    A file that is missing or cannot be read counts as empty. Change is told by inode, size and time of
    change, so that a file replaced by another of the same age is noticed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = ""
        self._stamp: tuple[int, int, int] | None = None

    def take_up(self) -> bool:
        """Read the file again when it has changed since the last time; True when it has."""
        try:
            status = self.path.stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        except OSError:
            stamp = (0, 0, 0)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self.text = self._read() if stamp != (0, 0, 0) else ""
        return True

    def _read(self) -> str:
        try:
            with self.path.open("rb") as stream:
                return stream.read(MAX_FILE_OCTETS).decode("utf-8", "replace")
        except OSError:
            return ""


class HostsFile:
    """The names of /etc/hosts and their addresses in the order that ``arrange`` gives them."""

    def __init__(
        self, path: Path, arrange: Callable[[list[str]], tuple[str, ...]], written: dict[str, tuple[str, ...]]
    ) -> None:
        """``written`` are names of the policy: they hold before the file's."""
        self._file = WatchedFile(path)
        self._arrange = arrange
        self._written = {name.lower().rstrip("."): arrange(list(found)) for name, found in written.items()}
        self.table: dict[str, tuple[str, ...]] = dict(self._written)

    def take_up(self) -> dict[str, tuple[str, ...]]:
        """Give the table of names, read again when the file has changed."""
        if self._file.take_up():
            read = {name: self._arrange(found) for name, found in hosts_table(self._file.text).items()}
            self.table = read | self._written
        return self.table
