"""The numbers of terms: looked up once, made once, and not all of them held."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.store import usage
from corpproxy.backends.store.schema import store_in_memory
from corpproxy.backends.store.usage import Terms
from tests.support.rows import rows, tabular


@tabular
class TermsTests(SynchronousTestCase):
    """Over the tables of a store."""

    def setUp(self) -> None:
        self.connection = store_in_memory()
        self.addCleanup(self.connection.close)
        self.statements: list[str] = []
        self.connection.set_trace_callback(self.statements.append)

    def stored(self) -> dict[tuple[str, str], int]:
        """What stands in the table."""
        found = self.connection.execute(
            "SELECT kind, text, id FROM term WHERE kind = 'host' OR kind = 'user'"
        )
        return {(kind, text): id for kind, text, id in found}

    @rows(alone=(True,), beside_others=(False,))
    def test_numbers(self, counts: bool) -> None:
        """New terms get numbers and known ones keep theirs, whoever else makes terms."""
        terms = Terms(self.connection, counts=counts)
        first = terms.number("host", "b.example")
        self.connection.execute("INSERT INTO term (kind, text) VALUES ('host', 'made by another')")
        known = terms.learn({"user": ("amir",), "host": ("a.example", "b.example", "made by another")})
        self.assertEqual(known["host"]["b.example"], first)
        self.assertEqual(
            {(kind, text): id for kind, found in known.items() for text, id in found.items()}, self.stored()
        )
        self.assertEqual(len(set(self.stored().values())), 4)

    def test_undone(self) -> None:
        """Numbers of a transaction that was undone are made anew."""
        terms = Terms(self.connection, counts=True)
        self.connection.execute("BEGIN")
        terms.number("host", "a.example")
        self.connection.execute("ROLLBACK")
        terms.forget()
        terms.number("host", "b.example")
        terms.number("host", "a.example")
        self.assertEqual(len(self.stored()), 2)

    def test_bounded(self) -> None:
        """Terms that are asked for stay at hand; the others, beyond a bound, are looked up again."""
        self.patch(usage, "MAX_TERMS", 20)
        terms = Terms(self.connection, counts=True)
        first = terms.number("user", "amir")
        for number in range(100):
            terms.learn({"user": ("amir",), "host": (f"{number}.example",)})
        self.assertLessEqual(sum(map(len, [*terms._numbers.values(), *terms._before.values()])), 24)
        self.statements.clear()
        self.assertEqual(terms.number("user", "amir"), first)
        self.assertEqual(self.statements, [])
        self.assertEqual(terms.number("host", "0.example"), self.stored()["host", "0.example"])

    def test_not_made_again(self) -> None:
        """A term that is known in the table is looked up by one statement, and not made."""
        Terms(self.connection, counts=True).number("host", "a.example")
        self.statements.clear()
        Terms(self.connection, counts=True).number("host", "a.example")
        self.assertEqual(len(self.statements), 1)
