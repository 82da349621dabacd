"""One schema feeds the reader, the defaults and the manual."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import corpproxy
from corpproxy.audit.settings import AuditSettings, Keeping
from corpproxy.config.reference import default_text, fields_page, schema_text
from corpproxy.config.schema.audit import AuditTable, KeepTable, RotateTable
from corpproxy.config.schema.limits import ConnectionsTable, ForwardingTable, HttpTable, TimeoutsTable
from corpproxy.config.schema.policy_file import PolicyFile
from corpproxy.config.schema.table import fields_of, kind_of, tables_below
from corpproxy.exchange.limits import ConnectionLimits, Forwarding, Timeouts
from corpproxy.http1.limits import Limits
from corpproxy.policy.model import Safety
from tests.config.support import SOUND, load

DOCS = Path(corpproxy.__file__).parents[1] / "docs"


def written_pages() -> dict[Path, str]:
    """What docs/write_reference.py would write."""
    found = importlib.util.spec_from_file_location("write_reference", DOCS / "write_reference.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    pages: dict[Path, str] = module.pages()
    return pages


class ReferenceTests(SynchronousTestCase):
    """The manual says what the program does."""

    def test_pages_are_current(self):
        """Fields, schema and commands are in the manual as they are in the program."""
        for path, text in written_pages().items():
            self.assertEqual(path.read_text(), text, f"run python docs/write_reference.py: {path.name}")

    def test_every_field(self):
        """Every field has a line in the manual, with a sentence of its own."""
        page = fields_page()
        for name, table in tables_below(PolicyFile):
            for written, field in fields_of(table).items():
                self.assertIn(f"   * - ``{written}``\n", page)
                self.assertTrue(field.description or kind_of(field).table, f"{name}.{written}")

    def test_defaults(self):
        """A default as the manual has it, written into a policy, changes nothing."""
        plain = load(SOUND).configuration
        for name, table in tables_below(PolicyFile):
            if name and not all(part.isidentifier() for part in name.split(".")):
                continue
            for written, field in fields_of(table).items():
                text = default_text(field)
                if text:
                    line = f'{{{written}: "{text}"}}' if name else f'{written}: "{text}"'
                    for part in reversed(name.split(".") if name else []):
                        line = f"{part}: {line}" if part == name.split(".")[0] else f"{{{part}: {line}}}"
                    loaded = load(SOUND + line + "\n")
                    self.assertEqual(loaded.problems, (), line)
                    self.assertEqual(comparable(loaded.configuration), comparable(plain), line)

    def test_every_setting(self):
        """Every limit and wait of the parts is a field of the policy."""
        for settings, table in (
            (ConnectionLimits, ConnectionsTable),
            (Timeouts, TimeoutsTable),
            (Forwarding, ForwardingTable),
            (Limits, HttpTable),
        ):
            names = {one.name for one in dataclasses.fields(settings)}
            self.assertEqual(set(table.model_fields), names)

    def test_records(self):
        """Every setting of the record is a field of the policy."""
        fields = len(AuditTable.model_fields) - 1 + len(RotateTable.model_fields)
        # The count of files stands among the ages, and is a setting of its own.
        self.assertEqual(fields + 1, len(dataclasses.fields(AuditSettings)))
        ages = {one.name for one in dataclasses.fields(Keeping)}
        self.assertEqual(set(KeepTable.model_fields), ages | {"files"})

    def test_safety(self):
        """Without the table, what is refused is what the manual says."""
        self.assertEqual(
            dataclasses.replace(load(SOUND).configuration.policy.safety, place=Safety().place), Safety()
        )


def comparable(configuration):
    """The settings of a configuration, without what depends on the text."""
    left_out = {"version", "policy", "approvals", "safe_search", "listeners", "exemptions"}
    return {
        one.name: getattr(configuration, one.name)
        for one in dataclasses.fields(configuration)
        if one.name not in left_out
    }


class SchemaTests(SynchronousTestCase):
    """The JSON Schema is for editors."""

    def test_refuses_unknown_fields(self):
        """Every table of the schema is closed."""
        schema = json.loads(schema_text())
        for name, table in {"": schema, **schema["$defs"]}.items():
            whole = table["anyOf"][-1] if "anyOf" in table else table
            self.assertIs(whole["additionalProperties"], False, name)

    def test_names(self):
        """Fields go by the names that stand in the file."""
        rule = json.loads(schema_text())["$defs"]["RuleTable"]["properties"]
        self.assertIn("for", rule)
        self.assertNotIn("life", rule)

    def test_default(self):
        """Defaults are as they are written."""
        self.assertEqual(
            json.loads(schema_text())["$defs"]["TimeoutsTable"]["properties"]["head"]["default"], "30s"
        )
