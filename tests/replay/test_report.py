"""What programs read of a rehearsal is what the manual says."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import NOWHERE
from corpproxy.policy.model import Decision, Effect
from corpproxy.replay.report import About, as_mapping, as_text
from corpproxy.replay.tally import KINDS, NEWLY_BLOCKED, Tally
from tests.audit.test_record import a_record

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "replay.rst"
ABOUT = About("policy.yaml", "0123456789ab", "records", "as recorded", "as recorded")
BLOCK = Decision(Effect.BLOCK, "no games", NOWHERE, "it is for every exchange")


def tally():
    """One exchange that is newly blocked."""
    found = Tally()
    record = a_record(user="amir", groups=("pupils",), host="games.example", decision="allow", rule="all")
    found.changes[NEWLY_BLOCKED].add(record, BLOCK, record.groups, ("games",))
    return found


class ManualTests(SynchronousTestCase):
    """The reference page."""

    def keys(self, title):
        """The first column of a table of the page."""
        text = PAGE.read_text()
        begin = text.index(f".. list-table:: {title}\n")
        end = re.compile(r"^\S", re.MULTILINE).search(text, begin + 2)
        return re.findall(r"^   \* - ``(\w+)``$", text[begin : end.start() if end else None], re.MULTILINE)

    def test_report(self):
        """Every key of the report is on the page, in its order."""
        self.assertEqual(self.keys("Keys of the report"), list(as_mapping(tally(), ABOUT)))

    def test_change(self):
        """So is every key of a change, and the name of each kind."""
        change = as_mapping(tally(), ABOUT)["changes"][NEWLY_BLOCKED]
        self.assertEqual(self.keys("Keys of each kind of change"), list(change))
        text = PAGE.read_text()
        self.assertEqual([kind for kind in KINDS if f"``{kind}``" not in text], [])


class TextTests(SynchronousTestCase):
    """What people read."""

    def test_octets_of_the_wire(self):
        """A name that came from the wire cannot speak to the terminal."""
        found = tally()
        record = a_record(user="a\x1b[2Jm", host="games.example", decision="allow", rule="all")
        found.changes[NEWLY_BLOCKED].add(record, BLOCK, (), ())
        self.assertNotIn("\x1b", as_text(found, ABOUT))

    def test_same_rule(self):
        """Where the same rule decides another way, it is named once."""
        found = Tally()
        record = a_record(user="amir", host="games.example", decision="allow", rule="no games")
        found.changes[NEWLY_BLOCKED].add(record, BLOCK, (), ())
        self.assertIn("    1  1 person  1 host  'no games'\n", as_text(found, ABOUT))
