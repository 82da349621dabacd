"""``corpproxy audit sql`` answers questions to the record, and does nothing else."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.record import Record, encode
from corpproxy.backends.records.segment_file import create_segment
from corpproxy.cli.audit_sql import column_types
from tests.audit.test_record import a_record
from tests.cli.reading import output_of
from tests.support.rows import rows, tabular

FIRST = "records-20261122T090000Z-0001.jsonl.zst"
SECOND = "records-20261123T090000Z-0001.jsonl"


@tabular
class SqlTests(SynchronousTestCase):
    """A folder with a packed segment and one that is being written."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.patch(os, "environ", {**os.environ, "TZ": "Europe/London"})
        with create_segment(self.folder / FIRST) as file:
            for user in ("amir", "amir", "beth"):
                file.write(encode(a_record(user=user, sent=10, groups=("pupils", "year-9"))))
        odd = a_record(user="=cmd\x1b[2J", host="a'b", at="2026-06-23T10:00:00.000Z")
        (self.folder / SECOND).write_bytes(encode(odd) + b"not a record\n" + b'{"v":1,"id')

    def ask(self, statement: str, *more: str) -> tuple[int, str, str]:
        """Ask."""
        return output_of("audit", "sql", "--records", str(self.folder), *more, statement)

    def test_answer(self) -> None:
        """All segments are one view, however they are stored; what is no record is passed over."""
        code, out, err = self.ask(
            'SELECT "user", sum(sent) AS sent FROM records GROUP BY 1 ORDER BY 2 DESC LIMIT 2'
        )
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out, "user\tsent\namir\t20\nbeth\t10\n")

    def test_forms(self) -> None:
        """As JSON, and as a table without formulas; moments are in the time of the site."""
        odd = "SELECT \"user\", time, host FROM records WHERE host = 'a''b'"
        _, out, _ = self.ask(odd, "--csv")
        self.assertEqual(out, "user,time,host\n'=cmd\\x1b[2J,2026-06-23 11:00:00,a'b\n")
        _, out, _ = self.ask("SELECT groups, time FROM records WHERE \"user\" = 'beth'", "--json")
        answer = json.loads(out)
        self.assertEqual(answer["groups"], ["pupils", "year-9"])
        self.assertTrue(answer["time"].startswith("2026-11-23T10:00:00.123"))
        _, out, _ = self.ask("SELECT groups FROM records WHERE \"user\" = 'beth'")
        self.assertEqual(out, "groups\npupils year-9\n")

    @rows(
        written=("COPY records TO '{}'",),
        over_a_segment=("COPY (SELECT 1) TO '{}/" + SECOND + "'",),
        several=("SELECT 1; COPY (SELECT 1) TO '{}/x'",),
        attached=("ATTACH '{}/x.db'",),
        made=("CREATE TABLE x AS SELECT 1",),
        set=("SET enable_external_access = true",),
        installed=("INSTALL httpfs",),
        nothing=("",),
        nonsense=("SELEC 1",),
        other_file=("SELECT * FROM read_text('/etc/passwd')",),
        other_files=("SELECT * FROM glob('/etc/*')",),
        beside=("SELECT * FROM read_text('{}/secret')",),
        above=("SELECT * FROM read_text('{}/../{}/secret')",),
        fetched=("SELECT * FROM read_csv('http://127.0.0.1:1/x')",),
        extension=("LOAD '{}/x.so'",),
    )
    def test_refused(self, statement) -> None:
        """Nothing is written, no other file is read, nothing is fetched."""
        (self.folder / "secret").write_text("secret")
        before = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        code, out, err = self.ask(statement.format(self.folder, self.folder.name))
        self.assertEqual((code, out), (2, ""))
        self.assertEqual(len(err.splitlines()), 1)
        self.assertNotIn("Traceback", err)
        self.assertEqual({path.name: path.read_bytes() for path in self.folder.iterdir()}, before)

    def test_columns(self) -> None:
        """Each field of a record is a column, but for salts and commitments."""
        self.assertEqual(set(Record.__struct_fields__) - set(column_types()), {"salts", "erased"})
        self.assertEqual(column_types()["groups"], "VARCHAR[]")
        self.assertEqual(column_types()["status"], "UBIGINT")

    def test_not_installed(self) -> None:
        """Without DuckDB it says what to install."""
        there = sys.modules.pop("duckdb", None)
        self.addCleanup(sys.modules.__setitem__, "duckdb", there or __import__("duckdb"))
        sys.modules["duckdb"] = None  # type: ignore[assignment]
        code, _, err = self.ask("SELECT 1")
        self.assertEqual(
            (code, err), (1, "DuckDB is not there; install it with: pip install 'corpproxy[sql]'\n")
        )

    def test_nothing_there(self) -> None:
        """A folder without records is told."""
        for path in self.folder.iterdir():
            path.unlink()
        code, _, err = self.ask("SELECT 1")
        self.assertEqual(code, 1)
        self.assertIn("there are no records", err)
