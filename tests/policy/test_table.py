"""The compiled table: it says what the plain list of rules says, whatever it remembers and passes over."""

from __future__ import annotations

from dataclasses import replace

import re2
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.host import normal_host
from corpproxy.identity.model import Identity
from corpproxy.policy import together
from corpproxy.policy.conditions import What, Who, compile_expression, parse_url
from corpproxy.policy.decide import Policy
from corpproxy.policy.literals import literals_of
from corpproxy.policy.model import Facts
from corpproxy.policy.reader import reader
from corpproxy.policy.table import Table
from tests.policy import slowly
from tests.policy.builders import NETWORKS, exceptions, facts, rule, rules, some_facts, staged_rules
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

MISSING = st.sampled_from([frozenset(), frozenset({"games"}), frozenset({"*"})])


class PlainListTests(SynchronousTestCase):
    """What the table finds, and what a walk over the list of rules finds."""

    def same(self, written, asked, missing):
        """Ask one table for one exchange after the other, and then for all of them again."""
        table = Table(written, NETWORKS, missing)
        for one in (*asked, *asked):
            slow = [slowly.matches(row, one, missing) for row in written]
            found = table.matching(one, table.in_force(one.at))
            self.assertEqual([bool(found >> n & 1) for n in range(len(written))], slow)
            self.assertEqual(table.first(one), slow.index(True) if any(slow) else -1)

    @EXAMPLES
    @given(st.lists(rules, max_size=20), st.lists(some_facts, min_size=1, max_size=8), MISSING)
    def test_one_after_the_other(self, written, asked, missing):
        """What is remembered of people, categories and the rest changes nothing."""
        self.same(written, asked, missing)

    @EXAMPLES
    @given(st.lists(rules, max_size=6), some_facts, some_facts, st.data(), MISSING)
    def test_mixed(self, written, one, other, data, missing):
        """Nor does it where two exchanges differ in some facts only."""
        chosen = {name: getattr(data.draw(st.sampled_from([one, other])), name) for name in Facts.__slots__}
        self.same(written, [one, other, replace(one, **chosen)], missing)

    def test_forgotten(self):
        """Nor does it matter that what is remembered is bounded, and forgotten now and then."""
        self.patch(together, "MAX_REMEMBERED", 3)
        written = [rule(who=Who(user=(f"p{number}",)), what=What(port=(number,))) for number in range(1, 9)]
        asked = [
            facts(f"http://x.example:{port}/", Identity(f"p{person}"))
            for person in range(9)
            for port in range(1, 9)
        ]
        self.same(written, asked, frozenset())

    def test_bounded(self):
        """No more is remembered than a table has room for."""
        self.patch(together, "MAX_REMEMBERED", 10)
        column = Table([rule(who=Who(user=("amir",)))]).columns[0]
        remembering = together.Together([column])
        for number in range(50):
            remembering.rows(facts(identity=Identity(f"p{number}")))
        self.assertLessEqual(len(remembering.remembered), 10)

    @EXAMPLES
    @given(st.lists(staged_rules, max_size=8), exceptions, st.lists(some_facts, min_size=1, max_size=4))
    def test_exceptions_and_stages(self, written, excepting, asked):
        """The rule that decides, the one in shadow before it and the exception are those of the walk."""
        policy = Policy(written, networks=NETWORKS, exceptions=excepting)
        for one in asked:
            self.assertEqual(policy.find(one), slowly.found(written, excepting, one))


@tabular
class HostTests(SynchronousTestCase):
    """The last labels of a host's name settle most of it; never more than they may."""

    @rows(
        below=("bbc.co.uk", "www.bbc.co.uk", True),
        neighbour=("bbc.co.uk", "www.abc.co.uk", False),
        itself=("bbc.co.uk", "bbc.co.uk", True),
        above=("bbc.co.uk", "co.uk", False),
        top=("uk", "www.bbc.co.uk", True),
        top_itself=("uk", "uk", True),
        top_of_two=("uk", "co.uk", True),
        single_label=("intranet", "intranet", True),
        below_single_label=("intranet", "wiki.intranet", True),
        other_single_label=("intranet", "extranet", False),
        short=("t.co", "t.co", True),
        ends_alike=("t.co", "at.co", False),
        address=("10.0.0.7", "10.0.0.7", True),
        address_ends_alike=("10.0.0.7", "10.1.0.7", False),
        no_top_of_address=("7", "10.0.0.7", False),
        ipv6=("2001:db8::1", "2001:db8::1", True),
        other_ipv6=("2001:db8::1", "2001:db8::2", False),
    )
    def test_names(self, named, asked, expected):
        """A domain and a URL cover the host and what is below it, alone and beside others."""
        one = facts("http://x.example/", client="", host=normal_host(asked))
        url = parse_url(f"[{named}]/" if ":" in named else f"{named}/")
        others = [rule(what=What(domain=(other,))) for other in ("example.org", "news.co.uk", "com")]
        for what in (What(domain=(named,)), What(url=(url,)), What(domain=("other.example", named))):
            table = Table([*others, rule(what=what)])
            self.assertEqual(table.first(one), 3 if expected else -1)


class SearchTests(SynchronousTestCase):
    """All expressions at once."""

    def found(self, *written, url="http://www.example.com/watch?v=7&list=a"):
        """The numbers of the expressions that are found in a URL."""
        table = Table([rule(what=What(expression=(one,))) for one in written])
        found = table.matching(facts(url), -1)
        return [number for number in range(len(written)) if found >> number & 1]

    def test_each(self):
        """It is told which of them were found, not only that some were."""
        self.assertEqual(self.found("watch", r"v=8\b", "a$", "^https", r"v=7\b", "(?i)WATCH"), [0, 2, 4, 5])

    def test_everywhere(self):
        """An expression that is found everywhere is found."""
        self.assertEqual(self.found("", "x*", "nowhere"), [0, 1])

    def test_search_gives_up(self):
        """Where a search for all at once gives up, it is made for one after the other."""
        self.patch(re2.Set, "Match", lambda _, text: None)
        self.assertEqual(self.found("watch", r"v=8\b", "a$"), [0, 2])

    def test_too_large_for_one(self):
        """Expressions too large for one program are searched for by several."""
        self.assertEqual(self.found("watch", *(f"{n}.{{900}}b" for n in range(20)), "list"), [0, 21])

    def test_plain_text(self):
        """Expressions with plain text in them and others are found beside each other."""
        self.assertEqual(self.found("watch.v", "(?i)LIST", "[0-9]", "listen", "www|ftp"), [0, 1, 2, 4])

    def test_much_plain_text(self):
        """So they are where they hold too much of it to look for."""
        self.assertEqual(self.found(*(f"text{n}" for n in range(20)), "watch", "list"), [20, 21])


# Pieces of expressions; what reads them must not take one for another.
PIECES = st.sampled_from(
    r"a b c ab abc cab abcabcabc a+ b* c? a{0} b{2} c{0,1}? a{1,} { a{,2} } ] . ^ $ | ( ) é \b \. \w \x61 \n"
    r" \Qab\E \141 \pL [ab] [^a] []ab] [^]ab] [^]abc[b] []abc[b] [\d]abc [[:alpha:]] (ab|c) (abc)?"
    r" (?:abc)* (a(b)c)? (?i) (?i:abc) (?P<n>abc)".split()
)
TEXTS = st.text(st.sampled_from("abcABC.] {}(\n2é"), max_size=30)


class LiteralTests(SynchronousTestCase):
    """Texts of which an expression must find one."""

    def test_plain(self):
        """It is the longest run of signs that mean themselves."""
        self.assertEqual(literals_of(r"^https?://[a-z]+\.tracker\.example/"), (b".tracker",))
        self.assertEqual(literals_of(r"watch\?v=7\b"), (b"watch?v=",))

    def test_repeated(self):
        """What may be there no time at all is no part of it."""
        self.assertEqual([literals_of(one) for one in ("abcd*", "abcd?xy", "abcd{0,3}")], [(b"abc",)] * 3)

    def test_alternatives(self):
        """Each of a few plain alternatives stands there with what is before and behind it."""
        self.assertEqual(literals_of(r"\.(exe|msi|d\|g)$"), (b".d|g", b".exe", b".msi"))
        self.assertEqual(literals_of(r"(?:ad|banner)s/"), (b"ads/", b"banners/"))
        self.assertEqual(literals_of("abc(def|ghi)*"), (b"abc",))

    def test_many_alternatives(self):
        """Of more than a few nothing is said; what stands beside them counts."""
        many = "|".join(f"{letter}bc" for letter in "abcdefg")
        self.assertEqual(literals_of(rf"\.({many})/download"), (b"/downloa",))
        self.assertEqual(literals_of(rf"\.({many})$"), ())

    def test_short(self):
        """Two signs are too few, in any alternative."""
        self.assertEqual([literals_of(one) for one in ("ab.cd", "(abc|ab)")], [(), ()])

    @EXAMPLES
    @given(st.lists(PIECES, min_size=1, max_size=8).map("".join), st.lists(TEXTS, max_size=5), st.data())
    def test_always_there(self, written, texts, data):
        """Wherever the expression is found, one of its texts is."""
        try:
            expression = compile_expression(written)
        except ValueError:
            return
        pieces = st.lists(st.one_of(TEXTS, st.sampled_from(["ab", "abc", "cab", "a", "bb"])), max_size=8)
        for text in (*texts, data.draw(pieces.map("".join))):
            if expression.search(text.encode()):
                literals = literals_of(written)
                self.assertTrue(not literals or any(one in text.encode() for one in literals), literals)


class ReaderTests(SynchronousTestCase):
    """Several facts at once."""

    def test_read(self):
        """They are read in the order of their names; one alone is itself."""
        one = facts("http://www.example.com:8080/")
        self.assertEqual(reader(["port", "host.name"])(one), ("www.example.com", 8080))
        self.assertEqual(reader(["port"])(one), 8080)

    def test_none(self):
        """Nothing is read where nothing is asked for."""
        self.assertEqual(reader([])(facts()), ())

    def test_no_name(self):
        """What is no name of an attribute is not compiled."""
        self.assertRaises(ValueError, reader, ["port if print() else port"])
