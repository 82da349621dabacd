"""Imports point up the road, and what stands above ``net`` knows no sockets, files, threads or clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import corpproxy

ROOT = Path(corpproxy.__file__).parent

# The stations in the order of the road; a package imports those named before it.
ORDER = (
    "errors twins born http1 preface identity destination policy accounting cache audit pages reports "
    "exchange config foreign replay net backends admin service cli"
).split()
PURE = ORDER[: ORDER.index("net")]
IMPURE = {
    "twisted", "socket", "select", "selectors", "threading", "subprocess", "multiprocessing",
    "time", "asyncio", "concurrent", "ssl", "sqlite3", "tempfile", "shutil", "signal",
}  # fmt: skip
# Calls that read the clock or the disk although their module has pure uses too.
IMPURE_CALLS = {"now", "utcnow", "today", "open", "read_text", "read_bytes", "write_text", "write_bytes"}


def station(path: Path) -> str:
    """The package (or module) directly below corpproxy/ that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, also late ones."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


class ImportTests(SynchronousTestCase):
    """The two promises about imports."""

    def files(self) -> list[Path]:
        return [path for path in ROOT.rglob("*.py") if station(path) in ORDER]

    def test_upward(self) -> None:
        """A package imports only packages that stand before it on the road."""
        wrong = [
            f"{path.relative_to(ROOT)} imports {name}"
            for path in self.files()
            for name in imported(path)
            if name.startswith("corpproxy.")
            and name.split(".")[1] in ORDER
            and ORDER.index(name.split(".")[1]) > ORDER.index(station(path))
        ]
        self.assertEqual(wrong, [])

    def test_pure(self) -> None:
        """Above net/ nothing imports sockets, threads, processes, the clock or Twisted."""
        wrong = [
            f"{path.relative_to(ROOT)} imports {name}"
            for path in self.files()
            if station(path) in PURE
            for name in imported(path)
            if name.split(".")[0] in IMPURE
        ]
        self.assertEqual(wrong, [])

    def test_no_clock_no_files(self) -> None:
        """Above net/ nothing asks for the time or opens a file: both are handed in."""
        wrong = [
            f"{path.relative_to(ROOT)}:{node.lineno}"
            for path in self.files()
            if station(path) in PURE
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
            and (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
            in IMPURE_CALLS
        ]
        self.assertEqual(wrong, [])
