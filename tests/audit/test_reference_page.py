"""The reference page of the record says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.fields import FIELDS, KINDS, fields_table, kinds_table, results_table
from corpproxy.audit.record import FORMAT, Record
from corpproxy.audit.redact import MAX_AGENT, MAX_PATH
from corpproxy.audit.results import FAULTS, MEANINGS, Kind, ResultCode
from corpproxy.audit.settings import AuditSettings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "record.rst"
TABLES = {
    "record-kinds.inc": kinds_table,
    "record-fields.inc": fields_table,
    "record-results.inc": results_table,
}
_ROW = re.compile(r"^   \* - ``([a-z_-]+)``\n     - (.*)$", re.MULTILINE)


class PageTests(SynchronousTestCase):
    """The tables of the page, row by row."""

    def setUp(self) -> None:
        self.text = PAGE.read_text()
        self.said = self.text + "".join(table() for table in TABLES.values())

    def table(self, title: str) -> dict[str, str]:
        """The first two columns of a table."""
        begin = self.text.index(f".. list-table:: {title}\n")
        end = re.compile(r"^\S", re.MULTILINE).search(self.text, begin + 2)
        rows = _ROW.findall(self.text[begin : end.start() if end else None])
        return {name: second for name, second in rows if second != "meaning"}

    def test_made(self) -> None:
        """Fields, kinds and result codes stand on the page as the code writes them, and nowhere else."""
        for name, table in TABLES.items():
            self.assertIn(f"\n.. include:: {name}\n", self.text)
            self.assertEqual((PAGE.parent / name).read_text(), table(), "run python docs/write_reference.py")

    def test_fields(self) -> None:
        """Every field of a record is described once, in the order of the line."""
        self.assertEqual(list(FIELDS), list(Record.__struct_fields__))
        self.assertEqual(list(KINDS), list(Kind))
        self.assertEqual(_ROW.findall(fields_table())[:2], [("id", "text"), ("kind", "text")])

    def test_whose_doing(self) -> None:
        """Of every result code it is said what it means and whose doing it is."""
        self.assertEqual((list(MEANINGS), list(FAULTS)), (list(ResultCode), list(ResultCode)))
        rows = _ROW.findall(results_table())
        self.assertEqual(dict(rows)["upstream-failed"], "server")

    def test_figures(self) -> None:
        """The figures on the page are those of the code."""
        self.assertIn(f'``"v":{FORMAT}``', self.text)
        self.assertIn(f"at most {MAX_PATH} characters", self.said)
        self.assertIn(f"at most {MAX_AGENT} characters", self.said)
        self.assertIn(f"{AuditSettings().rotate_octets // 2**20}MiB", self.text)
        defaults = self.table("Keys of the table ``audit:``")
        self.assertEqual(defaults["query"], "``no``")
        self.assertEqual(defaults["user_agent"], "``yes``")
        self.assertEqual(defaults["when_full"], f"``{AuditSettings().when_full.value}``")
