"""The codes of failures: each that the program gives is in the manual, and the manual has no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import corpproxy
from tests.docs.manual import DOCS

ROOT = Path(corpproxy.__file__).parent
PACKAGES = ("http1", "preface", "destination", "identity", "exchange", "net", "backends", "pages")

# Where the code stands among the arguments of what raises or tells it.
CODE_AT = {
    "ProtocolError": 0,
    "UpstreamError": 0,
    "TunnelEnded": 0,
    "SignInRefused": 0,
    "SignInUnavailable": 0,
    "BadCredentials": 0,
    "Refused": 0,
    "Refusal": 1,
    "_challenge": 1,
    "failure_page": 1,
    "unavailable_page": 1,
}
# Codes that nobody meets, and why.
NEVER_TOLD = {"too-many-interim": "of a server: the road makes it answer-invalid"}
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)+")


def given() -> Iterator[tuple[str, str]]:
    """Each code that the source gives as a literal, with the file that does."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                for value in _codes(node):
                    if isinstance(value, str) and CODE.fullmatch(value):
                        yield value, path.relative_to(ROOT).as_posix()


def _codes(node: ast.AST) -> Iterator[object]:
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        at = CODE_AT.get(name)
        if at is not None and len(node.args) > at:
            yield getattr(node.args[at], "value", None)
    elif isinstance(node, ast.Assign):
        targets = [t for target in node.targets for t in getattr(target, "elts", [target])]
        values = getattr(node.value, "elts", [node.value])
        if len(targets) == len(values):
            for target, value in zip(targets, values, strict=True):
                if getattr(target, "attr", getattr(target, "id", "")) in ("failure", "code"):
                    yield getattr(value, "value", None)


def listed(page: str) -> set[str]:
    """The codes in the first column of the tables of a page."""
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    return set(re.findall(r"^   \* - ``([a-z0-9-]+)``$", text, re.MULTILINE))


class CodeTests(SynchronousTestCase):
    """Whoever finds a code in a record finds it in the manual."""

    def test_given_are_listed(self) -> None:
        """Every code that the program gives stands in a table of the manual."""
        known = listed("codes.rst") | listed("pages.rst") | listed("refused-input.rst") | NEVER_TOLD.keys()
        self.assertEqual([f"{code} in {path}" for code, path in given() if code not in known], [])

    def test_listed_are_given(self) -> None:
        """Every code without a page is given somewhere."""
        source = "".join(path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py"))
        self.assertEqual([code for code in sorted(listed("codes.rst")) if f'"{code}"' not in source], [])

    def test_reader(self) -> None:
        """The reader of the source finds what it looks for."""
        self.assertGreater(len({code for code, _ in given()}), 30)
