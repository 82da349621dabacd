"""``corpproxy calendar``: which calendars hold, and when in a week."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.policies import POLICY, TEST, site_folder
from tests.cli.reading import output_of
from tests.support.rows import rows, tabular

CALENDARS = """\
calendars:
  terms: {terms: {summer: 2026-04-20/2026-07-22}}
  night: {days: [fri, sat], hours: "22:00-02:30"}
  lessons: {calendar: terms, days: mon-fri, hours: "08:30-12:15"}
"""


@tabular
class CalendarTests(SynchronousTestCase):
    """What an administrator asks, and reads."""

    def setUp(self):
        text = POLICY.replace('calendars:\n  lessons: {days: mon-fri, hours: "08:30-15:30"}\n', CALENDARS)
        self.path = site_folder(self.mktemp(), text.replace("tests:\n", "tests: []\n"))

    def calendar(self, *arguments):
        """Run the command; gives exit code, output and errors."""
        return output_of("calendar", "--policy", str(self.path), *arguments)

    def test_now(self):
        """Each calendar is told with whether it holds and when that changes."""
        code, out, err = self.calendar("--at", "2026-06-12T10:15")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(
            out.splitlines(),
            [
                "at Fri 2026-06-12 10:15 (Europe/London)",
                "terms    holds  until Thu 2026-07-23 00:00  (summer)",
                "night    -      from Fri 2026-06-12 22:00",
                "lessons  holds  until Fri 2026-06-12 12:15  (summer)",
            ],
        )

    def test_never(self):
        """A calendar that will not change is said to stay."""
        _, out, _ = self.calendar("--at", "2026-09-01T10:00")
        self.assertIn("terms    -      no change in the next two years\n", out)

    def test_week(self):
        """A week is a line for each day."""
        code, out, _ = self.calendar("lessons", "--week", "2026-06-10")
        lines = out.splitlines()
        self.assertEqual((code, lines[0]), (0, "lessons, week of 2026-06-08 (Europe/London)"))
        self.assertEqual(
            lines[2], "Mon 08 Jun  |.................#######+.......................|  08:30-12:15  (summer)"
        )
        self.assertEqual(lines[7], "Sat 13 Jun  |" + "." * 48 + "|  -")

    @rows(
        forward=("2026-03-29", "Sun 29 Mar", "##  #" + "." * 43, "00:00-02:30", "00:59:59 to 02:00"),
        back=("2026-10-25", "Sun 25 Oct", "#####" + "." * 43, "00:00-02:30", "01:59:59 to 01:00"),
    )
    def test_clock_change(self, week, day, bar, span, change):
        """In the weeks in which the clock is changed the day shows it."""
        _, out, _ = self.calendar("night", "--week", week)
        self.assertEqual(out.splitlines()[-1], f"{day}  |{bar}|  {span}  (the clock goes from {change})")

    def test_json(self):
        """Programs read instants with their offset."""
        _, out, _ = self.calendar("lessons", "--week", "2026-06-08", "--json")
        monday = json.loads(out)["lessons"][0]
        span = {
            "from": "2026-06-08T08:30:00+01:00",
            "to": "2026-06-08T12:15:00+01:00",
            "during": ["summer"],
        }
        self.assertEqual(monday, {"date": "2026-06-08", "spans": [span], "clock_changes": None})
        _, out, _ = self.calendar("--at", "2026-06-12T10:15", "--json")
        self.assertEqual(json.loads(out)[2]["changes"], "2026-06-12T12:15:00+01:00")

    @rows(
        name=(("lesons",), "there is no calendar 'lesons'; did you mean 'lessons'?"),
        unlike=(("x",), "there is no calendar 'x'; there are terms, night, lessons"),
        week=(("lessons", "--week", "june"), "'june' is no date; write it as 2026-06-08"),
    )
    def test_wrong(self, arguments, said):
        """What is wrong is said, with the nearest right name."""
        code, _, err = self.calendar(*arguments)
        self.assertEqual((code, err), (2, said + "\n"))

    def test_no_calendars(self):
        """A policy without calendars says so."""
        text = POLICY.replace('calendars:\n  lessons: {days: mon-fri, hours: "08:30-15:30"}\n', "")
        self.path = site_folder(self.mktemp(), text.replace("    when: lessons\n", "") + TEST)
        code, _, err = self.calendar()
        self.assertEqual((code, err), (1, "the policy has no calendars; write some below 'calendars:'\n"))
