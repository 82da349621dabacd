"""Edits of a policy are noticed, in whichever of its files they are."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.policies.watch import PolicyWatch
from tests.support.rows import rows, tabular

POLICY = """\
include: rules.d/*.yaml
lists: {banks: {of: domain, file: banks.txt}}
calendars: {holidays: {file: holidays.ics}}
rules: [{name: quiet, when: {file: quiet.ics}, do: block}]
"""


@tabular
class WatchTests(SynchronousTestCase):
    """A folder with a policy and the files that it names."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        (self.folder / "rules.d").mkdir(parents=True)
        for name in ("rules.d/one.yaml", "banks.txt", "holidays.ics", "quiet.ics", "else.txt"):
            (self.folder / name).write_text("before")
        (self.folder / "policy.yaml").write_text(POLICY)
        self.watch = PolicyWatch(self.folder / "policy.yaml")
        self.watch.note()

    @rows(
        policy=("policy.yaml", True),
        included=("rules.d/one.yaml", True),
        list=("banks.txt", True),
        calendar=("holidays.ics", True),
        calendar_in_a_rule=("quiet.ics", True),
        other=("else.txt", False),
    )
    def test_edit(self, name, noticed):
        """An edit counts once it is seen twice; one of a file that is no part of the policy does not."""
        self.assertFalse(self.watch.look())
        file = self.folder / name
        file.write_text(file.read_text() + "\n")
        os.utime(file, (1, 1))
        self.assertFalse(self.watch.look())
        self.assertEqual(self.watch.look(), noticed)

    def test_gone(self):
        """A list that is gone is an edit, too, which is then refused."""
        (self.folder / "banks.txt").unlink()
        self.watch.look()
        self.assertTrue(self.watch.look())
