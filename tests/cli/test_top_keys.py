"""What keys do in ``corpproxy top``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.present import Question, Sort, View
from corpproxy.cli.top_keys import MAX_TYPED, QUIT, End, State, Typing, press, settled
from tests.cli.top_answers import person, running
from tests.support.rows import rows, tabular

PEOPLE = [person("amir"), person("beth"), person("carol")]
RUNNING = [running("0v7x01"), running("0v7x02", who="beth")]


class KeysCase(SynchronousTestCase):
    """A state into which keys go."""

    shown = PEOPLE
    state = State()

    def press(self, *keys, page=10):
        """Press some keys; gives what is to be done by the last."""
        act = None
        for key in keys:
            self.state, act = press(self.state, key, self.shown, page)
        return act

    def write(self, text):
        """Type a text."""
        return self.press(*text)


@tabular
class ChoosingTests(KeysCase):
    """The row that is chosen."""

    @rows(
        down=(["DOWN"], "beth"),
        letter=(["j", "j", "k"], "beth"),
        end=(["END"], "carol"),
        no_further=(["PAGE_DOWN", "DOWN"], "carol"),
        top=(["END", "HOME"], "amir"),
        above=(["UP"], "amir"),
    )
    def test_move(self, keys, expected):
        """Arrows, letters and pages choose a row; there is none above the first or below the last."""
        self.press(*keys)
        self.assertEqual(self.state.chosen, expected)

    def test_stays(self):
        """A row stays chosen when others come before it, so that nobody ends what they did not mean."""
        self.press("DOWN")
        state = settled(self.state, [person("beth"), person("amir")])
        self.assertEqual((state.chosen, state.at), ("beth", 0))

    def test_gone(self):
        """When it has gone the row in its place is chosen, or the last."""
        self.press("END")
        self.assertEqual(settled(self.state, PEOPLE[:2]).chosen, "beth")
        self.assertEqual(settled(self.state, []).chosen, "")

    def test_not_moved(self):
        """Who has not chosen sees the first row marked, whoever that is."""
        self.assertEqual(settled(self.state, PEOPLE), self.state)

    def test_page(self):
        """No more rows are asked for than one can see, and a page on."""
        self.assertEqual(self.state.question(10).limit, 20)
        self.press("END")
        self.assertEqual(self.state.question(10).limit, 22)


@tabular
class OrderTests(KeysCase):
    """In which order rows stand."""

    @rows(rate=("r", Sort.RATE), quota=("o", Sort.QUOTA), who=("w", Sort.WHO), slowed=("s", Sort.SLOWED))
    def test_letter(self, key, sort):
        """A letter puts rows in order by a column."""
        self.press(key)
        self.assertEqual(self.state.sort, sort)

    def test_beside(self):
        """Every column can be reached with < and >, round and round."""
        seen = []
        for _ in range(13):
            self.press(">")
            seen.append(self.state.sort)
        self.assertEqual((len(set(seen)), self.state.sort), (13, Sort.RATE))
        self.press("<")
        self.assertEqual(self.state.sort, Sort.ADDRESS)

    def test_backwards(self):
        """An order can be turned round."""
        self.press("-")
        self.assertEqual(self.state.question(1), Question(limit=2, backwards=True))

    def test_none(self):
        """An order that these rows have not is said so."""
        self.press("h")
        self.assertEqual((self.state.sort, self.state.said), (Sort.RATE, "these rows have no order by host"))

    def test_other_view(self):
        """An order that the other view has not becomes the usual one there."""
        self.press("o", "\t")
        self.assertEqual((self.state.view, self.state.sort), (View.RUNNING, Sort.RATE))


class ViewTests(KeysCase):
    """What is looked at."""

    def test_theirs(self):
        """Enter shows what runs for one person alone, and Backspace leads back."""
        self.press("DOWN", "\n")
        self.assertEqual((self.state.view, self.state.who), (View.RUNNING, "beth"))
        self.press("BACKSPACE")
        self.assertEqual((self.state.view, self.state.who), (View.PEOPLE, ""))

    def test_find(self):
        """A text is typed, mended and taken; Escape shows all again."""
        self.press("/")
        self.write("gamess")
        self.press("\x7f", "\r")
        self.assertEqual((self.state.text, self.state.typing), ("games", Typing.NOTHING))
        self.press("\x1b")
        self.assertEqual(self.state.text, "")

    def test_not_found(self):
        """Escape while a text is typed leaves what was looked for before."""
        self.state = State(text="games")
        self.press("/", "x", "\x1b")
        self.assertEqual(self.state.text, "games")

    def test_letters_are_text(self):
        """While a text is typed letters are no commands; what does not print is left out."""
        self.press("/")
        self.assertIsNone(self.write("quit"))
        self.press("UP", "\x07")
        self.assertEqual(self.state.typed, "quit")
        self.write("x" * 300)
        self.assertEqual(len(self.state.typed), MAX_TYPED)

    def test_still(self):
        """The screen stands still, and goes on."""
        self.press(" ")
        self.assertTrue(self.state.still)
        self.press(" ")
        self.assertFalse(self.state.still)

    def test_help(self):
        """Help goes with any key; one leaves from there, too."""
        self.press("?", "x")
        self.assertFalse(self.state.helps)
        self.assertEqual(self.press("?", "q"), QUIT)

    def test_nothing(self):
        """Without rows keys do no harm, and what means nothing does nothing."""
        self.shown = []
        for key in ("e", "E", "\n", "DOWN", "END", "Z", ""):
            self.assertIsNone(self.press(key))
        self.assertIs(self.state.typing, Typing.NOTHING)


class EndTests(KeysCase):
    """Something is to end."""

    def test_person(self):
        """All of a person ends once a reason is typed."""
        self.press("DOWN", "e")
        self.write("too much")
        self.assertEqual(self.press("\n"), End("", "beth", "too much"))
        self.assertEqual(self.state.ending, ("", ""))

    def test_exchange(self):
        """Among what runs it is that one exchange, or with another key all of its person."""
        self.shown, self.state = RUNNING, State(View.RUNNING)
        self.press("e", "x")
        self.assertEqual(self.press("\n"), End("0v7x01", "", "x"))
        self.press("DOWN", "E", "x")
        self.assertEqual(self.press("\n"), End("", "beth", "x"))

    def test_reason(self):
        """Nothing ends without a reason."""
        self.press("e", " ")
        self.assertIsNone(self.press("\n"))
        self.assertIs(self.state.typing, Typing.WHY)
        self.assertIn("say why", self.state.said)

    def test_left(self):
        """Escape ends nothing."""
        self.press("e", "x", "\x1b")
        self.assertIsNone(self.press("\n"))
        self.assertEqual(self.state.ending, ("", ""))

    def test_rows_move(self):
        """What ends is what was chosen when the key was pressed, whoever is first meanwhile."""
        self.press("e", "x")
        self.shown = PEOPLE[::-1]
        self.assertEqual(self.press("\n"), End("", "amir", "x"))
