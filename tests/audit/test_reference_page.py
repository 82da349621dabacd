"""The reference page of the record says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.record import FORMAT, Record
from corpproxy.audit.redact import MAX_AGENT, MAX_PATH
from corpproxy.audit.results import MEANINGS, Kind
from corpproxy.audit.settings import AuditSettings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "record.rst"
_ROW = re.compile(r"^   \* - ``([a-z_-]+)``\n     - (.*)$", re.MULTILINE)


class PageTests(SynchronousTestCase):
    """The tables of the page, row by row."""

    def setUp(self) -> None:
        self.text = PAGE.read_text()

    def table(self, title: str) -> dict[str, str]:
        """The first two columns of a table."""
        begin = self.text.index(f".. list-table:: {title}\n")
        end = re.compile(r"^\S", re.MULTILINE).search(self.text, begin + 2)
        rows = _ROW.findall(self.text[begin : end.start() if end else None])
        return {name: second for name, second in rows if second != "meaning"}

    def test_fields(self) -> None:
        """Every field of a record has a row, in the order of the line, with its type."""
        annotations = Record.__annotations__
        texts = {
            "int": "number",
            "float": "number",
            "int | None": "number",
            "tuple[str, ...]": "list of texts",
            "dict[str, str] | None": "object",
        }
        self.assertEqual(
            list(self.table("Fields").items()),
            [(name, texts.get(annotations[name], "text")) for name in Record.__struct_fields__],
        )

    def test_kinds(self) -> None:
        """Every kind has a row."""
        self.assertEqual(list(self.table("Kinds")), [kind.value for kind in Kind])

    def test_result_codes(self) -> None:
        """Every result code has a row, with the meaning that the code gives."""
        self.assertEqual(self.table("Result codes"), {code.value: said for code, said in MEANINGS.items()})

    def test_figures(self) -> None:
        """The figures on the page are those of the code."""
        self.assertIn(f'``"v":{FORMAT}``', self.text)
        self.assertIn(f"at most {MAX_PATH} characters", self.text)
        self.assertIn(f"at most {MAX_AGENT} characters", self.text)
        self.assertIn(f"{AuditSettings().rotate_octets // 2**20}MiB", self.text)
        defaults = self.table("Keys of the table ``audit:``")
        self.assertEqual(defaults["query"], "``no``")
        self.assertEqual(defaults["user_agent"], "``yes``")
        self.assertEqual(defaults["when_full"], f"``{AuditSettings().when_full.value}``")
