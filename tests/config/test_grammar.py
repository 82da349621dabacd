"""Conditions as an administrator writes them, from the text to the decision."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.policy.explain import explain
from tests.config.support import load
from tests.policy.builders import ANONYMOUS, CAROL, facts
from tests.support.rows import rows, tabular

LONDON = ZoneInfo("Europe/London")
BANKS = "# of the site\nbarclays.example  # and below\n\n"
TEXT = """\
time_zone: Europe/London
listen: [{{name: rooms, forward: "127.0.0.1:3128"}}]
identity:
  groups: {{staff: [carol], pupils: [amir]}}
  networks: {{labs: {{addresses: 10.1.0.0/16, user: labs}}}}
categories: {{own: {{games: miniclip.com}}}}
calendars:
  holidays: {{dates: 2026-12-19/2027-01-04}}
  exams: {{dates: [2026-11-23/2026-11-24]}}
  lessons: {{days: mon-fri, hours: "08:30-15:30", except: holidays}}
  breaks: {{days: mon-fri, hours: ["10:30-10:45", "12:00-13:00"]}}
  clubs: {{any: [{{days: wed, hours: "15:30-17:00"}}, {{days: sat}}], except: [holidays, exams]}}
  quiet: {{calendar: lessons, not: breaks}}
lists:
  banks: {{of: domain, entries: [hsbc.example], file: banks.txt}}
  candidates: {{of: user, entries: [amir, beth]}}
  rooms: {{of: network, entries: [10.1.0.0/16]}}
  nobody: {{of: user}}
rules:
  - {{name: tried, do: block, {conditions}}}
  - {{name: everything else, do: allow}}
"""


def policy_with(conditions):
    """The policy whose one rule has these conditions."""
    loaded = load(TEXT.format(conditions=conditions), {"banks.txt": BANKS})
    if loaded.configuration is None:
        raise AssertionError(loaded.problems)
    return loaded.configuration.policy


def at(written):
    """POSIX seconds of a local time."""
    return datetime.fromisoformat(written).replace(tzinfo=LONDON).timestamp()


@tabular
class ConditionTests(SynchronousTestCase):
    """``any``, ``all`` and ``not`` in who and what."""

    @rows(
        not_staff=("who: {not: {group: staff}}", facts(), True),
        staff=("who: {not: {group: staff}}", facts(identity=CAROL), False),
        nobody=("who: {not: {group: staff}}", facts(identity=ANONYMOUS), True),
        neither=("who: {not: {group: [staff, pupils]}}", facts(), False),
        any_of=("who: {any: [{group: staff}, {network: labs}]}", facts(), True),
        all_of=("who: {all: [{group: pupils}, {any: [{user: beth}, {network: labs}]}]}", facts(), True),
        beside_keys=("who: {group: pupils, not: {user: amir}}", facts(), False),
        what_not=("what: {domain: bbc.co.uk, not: {url: bbc.co.uk/a}}", facts("http://bbc.co.uk/"), True),
        what_not_below=(
            "what: {domain: bbc.co.uk, not: {url: bbc.co.uk/sport}}", facts("http://bbc.co.uk/sport/"), False,
        ),
        what_any=("what: {any: [{category: games}, {method: POST}]}", facts(method="POST"), True),
        what_any_else=("what: {any: [{category: games}, {method: POST}]}", facts(), False),
    )  # fmt: skip
    def test_matches(self, conditions, asked, expected):
        """The rule matches as it reads."""
        self.assertEqual(policy_with(conditions).decide(asked).rule == "tried", expected)


@tabular
class ListTests(SynchronousTestCase):
    """Lists with a name."""

    @rows(
        user=("who: {list: candidates}", facts(), True),
        other_user=("who: {list: candidates}", facts(identity=CAROL), False),
        not_on_it=("who: {not: {list: candidates}}", facts(identity=CAROL), True),
        domain=("what: {list: banks}", facts("http://www.hsbc.example/"), True),
        domain_of_file=("what: {list: banks}", facts("https://www.barclays.example/"), True),
        other_domain=("what: {list: banks}", facts(), False),
        beside_keys=("what: {list: banks, method: POST}", facts("http://hsbc.example/"), False),
        beside_any=("what: {list: banks, any: [{port: 80}]}", facts("http://hsbc.example/"), True),
        one_of_several=("who: {list: [nobody, rooms]}", facts(), True),
        empty=("who: {list: nobody}", facts(), False),
        not_on_empty=("who: {not: {list: nobody}}", facts(), True),
    )
    def test_matches(self, conditions, asked, expected):
        """A rule asks for what is on a list as if it stood in the rule."""
        self.assertEqual(policy_with(conditions).decide(asked).rule == "tried", expected)

    @rows(
        on_it=("what: {list: banks}", "http://www.hsbc.example/", "list banks: domain hsbc.example"),
        not_on_it=("what: {list: banks}", "http://x.example/", "host is x.example, not on list banks"),
        empty=("who: {list: nobody}", "http://x.example/", "list nobody is empty"),
    )
    def test_words(self, conditions, url, words):
        """An explanation names the list and the entry, and never the whole list."""
        policy = policy_with(conditions)
        self.assertEqual(explain(policy, facts(url)).steps[0].words, words)

    def test_reason(self):
        """A record names the list."""
        decision = policy_with("what: {list: banks}").decide(facts("http://hsbc.example/"))
        self.assertEqual(decision.reason, "list banks")

    def test_version(self):
        """The file of a list counts into the version of the policy."""
        text = TEXT.format(conditions="what: {list: banks}")
        versions = {load(text, {"banks.txt": one}).version for one in (BANKS, BANKS + "x.example")}
        self.assertEqual(len(versions), 2)


@tabular
class WhenTests(SynchronousTestCase):
    """Calendars by name, several of them, and written in place."""

    @rows(
        named=("lessons", "2026-11-25T10:00", True),
        named_holiday=("lessons", "2026-12-21T10:00", False),
        several=("[breaks, clubs]", "2026-11-25T16:00", True),
        in_place=('{days: mon-fri, hours: "08:30-12:00"}', "2026-11-25T08:30", True),
        in_place_later=('{days: mon-fri, hours: "08:30-12:00"}', "2026-11-25T12:00", False),
        in_place_in_list=("[breaks, {days: sat}]", "2026-11-28T20:00", True),
        in_place_named_too=('{calendar: lessons, hours: "10:00-11:00"}', "2026-11-25T10:00", True),
        in_place_holiday=('{calendar: lessons, hours: "10:00-11:00"}', "2026-12-21T10:00", False),
        not_named=("{not: lessons}", "2026-11-25T10:00", False),
        not_named_evening=("{not: lessons}", "2026-11-25T20:00", True),
        all_of=("{all: [lessons, exams]}", "2026-11-24T09:00", True),
        all_of_other_week=("{all: [lessons, exams]}", "2026-11-25T09:00", False),
        any_not=("{any: [lessons, clubs], not: breaks}", "2026-11-25T12:30", False),
        except_in_place=("{days: mon-fri, except: {dates: 2026-11-25}}", "2026-11-25T12:30", False),
        any_in_calendar=("clubs", "2026-11-28T20:00", True),
        except_several=("clubs", "2026-12-19T20:00", False),
        of_another=("quiet", "2026-11-25T10:30", False),
        of_another_still=("quiet", "2026-11-25T10:45", True),
        own_zone=("{hours: '10:00-11:00', time_zone: America/New_York}", "2026-11-25T15:30", True),
    )
    def test_matches(self, when, moment, expected):
        """The rule is in force as it reads."""
        policy = policy_with(f"when: {when}")
        self.assertEqual(policy.decide(facts(at=at(moment))).rule == "tried", expected)

    @rows(
        named=("[breaks, clubs]", "asked for breaks or clubs"),
        in_place=('{days: [mon-fri, sun], hours: "08:30-09:00"}', "asked for mon-fri sun 08:30-09:00"),
        weekend=('{days: [mon, tue, sat]}', "asked for mon tue sat"),
        not_named=("{any: [{days: sat}, exams], not: lessons}", "asked for sat or exams not lessons"),
    )  # fmt: skip
    def test_words(self, when, words):
        """An explanation says which time is asked for."""
        step = explain(policy_with(f"when: {when}"), facts(at=at("2026-11-26T23:00"))).steps[0]
        self.assertIn(words, step.words)

    def test_changes(self):
        """Whoever holds a decision can ask until when it holds."""
        policy = policy_with("when: {any: [lessons, {dates: 2026-11-25}]}")
        self.assertEqual(policy.next_change(at("2026-11-24T16:00")), at("2026-11-25T00:00"))
        self.assertEqual(policy.next_change(at("2026-11-25T10:00")), at("2026-11-26T00:00"))


class PlaceTests(SynchronousTestCase):
    """Problems inside nested conditions keep their places."""

    def test_deep(self):
        """A wrong word three parts down is told where it stands."""
        text = TEXT.format(conditions="who: {any: [{not: {all: [{grup: x}]}}]}")
        (problem,) = load(text, {"banks.txt": BANKS}).errors
        self.assertEqual((problem.code, problem.place.line, problem.place.column), ("unknown-field", 20, 56))
