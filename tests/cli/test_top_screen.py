"""The whole screen of ``corpproxy top``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.present import View
from corpproxy.cli.top_keys import State, Typing
from corpproxy.cli.top_screen import Mark, screen
from tests.cli.top_answers import answer, person, running
from tests.support.rows import rows, tabular

PEOPLE = answer(people=[person("amir"), person("beth", slowed=["the line"])])


def texts(state=None, told=PEOPLE, trouble="", width=80, height=24):
    """The texts of a screen."""
    return [line.text for line in screen(state or State(), told, trouble, width, height)]


@tabular
class ScreenTests(SynchronousTestCase):
    """Lines, as many as the terminal is high."""

    def test_people(self):
        """A screen tells of the whole line, then of each person, then of the one chosen, and of keys."""
        shown = texts(height=10)
        self.assertEqual(
            shown,
            [
                "down 2.0 MiB/s   up 512 B/s   3 exchanges/s   1 refused/s",
                "9 connections   1 tunnel   7 running   2 workers   2 active",
                "2 people  by rate",
                "WHO                    DOWN          UP     MOVED   TUNNELS   QUOTA  SLOWED BY  ",
                "amir              700 KiB/s     512 B/s   3.0 MiB         2                     ",
                "beth              700 KiB/s     512 B/s   3.0 MiB         2          the line",
                "",
                "",
                "amir; pupils; 10.1.2.3; 3.0 MiB down, 2.0 KiB up so far",
                "q leave  Tab people/running  Enter theirs  / find  <> order  e end  ? all keys",
            ],
        )

    def test_marks(self):
        """The row that is chosen stands out, and so does one that is slowed."""
        marks = [line.mark for line in screen(State(), PEOPLE, "", 80, 10)]
        self.assertEqual(marks[3:6], [Mark.HEADING, Mark.CHOSEN, Mark.WARNING])

    @rows(none=(1, 1), one=(80, 1), two=(80, 2), five=(80, 5), seven=(20, 7), usual=(80, 24), large=(250, 70))
    def test_size(self, width, height):
        """Whatever the size there are so many lines, none too long, in every state."""
        many = answer(people=[person(f"p{n}") for n in range(100)])
        for told in (many, None):
            for state in (
                State(),
                State(helps=True),
                State(typing=Typing.WHY, typed="x" * 90, ending=("", "amir")),
                State(at=99, text="p", who="p9", still=True),
            ):
                lines = texts(state, told, width=width, height=height)
                self.assertEqual(len(lines), height)
                self.assertEqual([line for line in lines if len(line) > width], [])

    def test_scrolled(self):
        """The row that is chosen is on the screen, wherever it is."""
        many = answer(people=[person(f"p{n:02}") for n in range(60)])
        shown = screen(State(at=41, chosen="p41"), many, "", 80, 24)
        self.assertEqual([line.text.split()[0] for line in shown if line.mark is Mark.CHOSEN], ["p41"])

    @rows(
        people=(State(), "nobody is there now"),
        running=(State(View.RUNNING), "nothing runs now"),
        text=(State(text="x"), "nothing has this text in it; Esc shows all"),
        who=(State(View.RUNNING, who="amir"), "nothing runs for them now; Backspace leads back to all"),
    )
    def test_nothing(self, state, expected):
        """Where there are no rows it says why."""
        self.assertEqual(texts(state, answer())[4], expected)

    def test_asking(self):
        """Before the first answer it says what it waits for."""
        self.assertEqual(texts(told=None)[0], "asking the service ...")

    def test_trouble(self):
        """A service that is away is said so below, and what it told last stays."""
        shown = texts(trouble="corpproxy is not running")
        self.assertEqual((shown[-1], shown[4].split()[0]), ("corpproxy is not running", "amir"))

    def test_looked_at(self):
        """What is looked at stands above: whose, with which text, in which order, standing still or not."""
        state = State(View.RUNNING, text="video", who="amir", still=True, backwards=True)
        told = answer(running=[running()])
        self.assertEqual(
            texts(state, told)[2],
            "1 exchanges  of amir  with 'video'  by rate, turned round  STANDING STILL",
        )

    def test_pseudonyms(self):
        """Where pseudonyms stand for people it says so."""
        told = answer(running=[running(who="P-abc")], pseudonyms=True)
        self.assertIn("with pseudonyms, as in the record", texts(State(View.RUNNING), told)[2])

    def test_why(self):
        """What ends is named beside the question for a reason, and what is typed is seen at its end."""
        state = State(typing=Typing.WHY, typed="too much", ending=("0v7x01", "amir"))
        self.assertEqual(texts(state)[-1], "end 0v7x01 of amir; why (for the record): too much_")
        state = State(typing=Typing.WHY, typed="a" * 100 + "z", ending=("", "amir"))
        self.assertEqual(texts(state)[-1][-3:], "az_")

    def test_escapes(self):
        """A name that is to be ended cannot speak to the terminal either."""
        state = State(typing=Typing.WHY, ending=("", "\x1b[2J"), who="\x1b[2J", text="\x1b[2J")
        for line in texts(state, answer(people=[person("\x1b[2J")])):
            self.assertTrue(line.isprintable())
