"""The lines of ``corpproxy top``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.present import SORTS, Sort, View
from corpproxy.cli.top_rows import (
    COLUMNS,
    age,
    detail,
    fitted,
    heading,
    is_marked,
    per_second,
    row_line,
    share,
    summary,
    target,
)
from tests.cli.top_answers import NOW, answer, person, running
from tests.support.rows import rows, tabular


@tabular
class WordsTests(SynchronousTestCase):
    """Numbers as people read them."""

    @rows(
        quiet=(0.4, "-"),
        octets=(512.2, "512 B/s"),
        small=(1536, "1.5 KiB/s"),
        three_digits=(700 * 1024, "700 KiB/s"),
        large=(40 * (1 << 20), "40.0 MiB/s"),
    )
    def test_rate(self, rate, expected):
        """A rate has a unit and at most three digits or so; nothing is a dash."""
        self.assertEqual(per_second(rate), expected)

    @rows(
        clock_back=(-3, "0s"),
        seconds=(59.9, "59s"),
        minutes=(61, "1m01s"),
        hours=(3 * 3600 + 120, "3h02m"),
        days=(2 * 86400 + 5 * 3600, "2d05h"),
    )
    def test_age(self, seconds, expected):
        """An age has two units at most, and none is negative where a clock was set back."""
        self.assertEqual(age(seconds), expected)

    @rows(
        usual=(("a.example", 443), "a.example"),
        other=(("a.example", 8443), "a.example:8443"),
        ipv6=(("2001:db8::1", 8443), "[2001:db8::1]:8443"),
        unknown=(("", 0), ""),
    )
    def test_target(self, where, expected):
        """A port is named where it does not go without saying."""
        host, port = where
        self.assertEqual(target(running(host=host, port=port)), expected)

    @rows(
        fits=(("abc", 5), "abc  "),
        cut=(("abcdef", 4), "abc~"),
        wide=(("日本語", 4), "日~ "),
        wide_fits=(("日本", 4), "日本"),
        marks=(("e\u0301e\u0301", 2), "e\u0301e\u0301"),
        nothing=(("abc", 0), ""),
    )
    def test_fitted(self, given, expected):
        """A text has so many cells, also where signs are two cells wide or none."""
        self.assertEqual(fitted(*given), expected)

    def test_share(self):
        """A quota is told as what is used of it."""
        quota = {"limit": "day", "share": 0.857, "until": NOW}
        self.assertEqual((share(person(quota=quota)), share(person())), ("85%", ""))

    @rows(
        ordinary=({}, False),
        slowed=({"slowed": ["the line"]}, True),
        half_used=({"quota": {"limit": "day", "share": 0.5, "until": NOW}}, False),
        nearly_used=({"quota": {"limit": "day", "share": 0.8, "until": NOW}}, True),
    )
    def test_marked(self, more, expected):
        """Who is slowed, or will be soon, is to be seen at once."""
        self.assertEqual(is_marked(person(**more)), expected)


@tabular
class LineTests(SynchronousTestCase):
    """Whole lines."""

    def test_people(self):
        """On eighty columns there is who, how fast, how much, tunnels, the quota and what slows them."""
        quota = {"limit": "day", "share": 0.5, "until": NOW}
        row = person(quota=quota, slowed=["the line"])
        self.assertEqual(
            [heading(View.PEOPLE, Sort.DOWN, 80), row_line(View.PEOPLE, row, NOW, 80)],
            [
                "WHO                   DOWN*          UP     MOVED   TUNNELS   QUOTA  SLOWED BY",
                "amir              700 KiB/s     512 B/s   3.0 MiB         2     50%  the line",
            ],
        )

    def test_running(self):
        """On eighty columns there is whose an exchange is, where it goes, how fast and since when."""
        self.assertEqual(
            [heading(View.RUNNING, Sort.AGE, 80), row_line(View.RUNNING, running(), NOW, 80)],
            [
                "WHO              HOST                        DOWN          UP     MOVED     AGE*",
                "amir             video.example          2.0 KiB/s           -   5.0 MiB    1m05s",
            ],
        )

    def test_wide(self):
        """A wide terminal has all columns."""
        for view, columns in COLUMNS.items():
            shown = heading(view, Sort.RATE, 250)
            self.assertEqual([one.title for one in columns if one.title not in shown], [])

    @rows(one=(1,), ten=(10,), forty=(40,), eighty=(80,), hundred=(100,), wide=(250,))
    def test_width(self, width):
        """No line is longer than the terminal is wide."""
        long = {"who": "x" * 90, "slowed": ["y" * 90], "groups": ["z" * 90]}
        lines = [
            *summary(answer(), width),
            heading(View.PEOPLE, Sort.TUNNELS, width),
            row_line(View.PEOPLE, person(addresses=["1" * 90], **long), NOW, width),
            row_line(View.RUNNING, running(host="h" * 250, rule="r" * 90, **long), NOW, width),
        ]
        self.assertEqual([line for line in lines if len(line) > width], [])

    def test_backwards(self):
        """The mark tells whether an order is turned round."""
        self.assertIn("WHO^", heading(View.PEOPLE, Sort.WHO, 80, backwards=True))

    def test_every_column_sorts(self):
        """Rows can be in the order of every column, of the whole rate, and tunnels before others."""
        without = {
            view: set(SORTS[view]) - {column.sort for column in columns} for view, columns in COLUMNS.items()
        }
        self.assertEqual(without, {View.PEOPLE: {Sort.RATE}, View.RUNNING: {Sort.RATE, Sort.TUNNELS}})

    @rows(
        escape=("\x1b]0;owned\x07\x1b[2J",),
        newline=("a\r\nb",),
        backspace=("a\x08\x08b",),
        c1=("a\x9b2Jb",),
        direction=("\u202emoc.elpmaxe",),
    )
    def test_escapes(self, text):
        """What came from the wire cannot speak to the terminal, in no column and not below the rows."""
        row = running(
            who=text, host=text, rule=text, categories=[text], groups=[text], client=text, method=text
        )
        people = person(text, groups=[text], addresses=[text], slowed=[text])
        lines = [
            row_line(View.RUNNING, row, NOW, 250),
            row_line(View.PEOPLE, people, NOW, 250),
            detail(View.RUNNING, row, NOW),
            detail(View.PEOPLE, people, NOW),
        ]
        for line in lines:
            self.assertTrue(line.isprintable(), ascii(line))

    def test_detail(self):
        """The row that is chosen is told in full."""
        self.assertEqual(
            detail(View.RUNNING, running(slowed=["the line"]), NOW),
            "0v7x01; amir from 10.1.2.3; CONNECT video.example; video; by rule everything else; "
            "5.0 MiB down, 4.0 KiB up; slowed by the line",
        )
        quota = {"limit": "day", "share": 0.5, "until": NOW}
        self.assertEqual(
            detail(View.PEOPLE, person(quota=quota), NOW),
            "amir; pupils; 10.1.2.3; 3.0 MiB down, 2.0 KiB up so far; 50% of day",
        )

    def test_summary(self):
        """Two lines tell of all of it."""
        self.assertEqual(
            summary(answer(people=[person()]), 80),
            [
                "down 2.0 MiB/s   up 512 B/s   3 exchanges/s   1 refused/s",
                "9 connections   1 tunnel   7 running   2 workers   1 active",
            ],
        )
        one = answer(people=[person()], ended=1.2)
        self.assertIn("   1 exchange/s   ", summary(one, 80)[0])
