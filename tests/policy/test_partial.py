"""A policy asked when not all is known: it decides what is certain, and names the fact that is missing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.model import ANONYMOUS
from corpproxy.policy.conditions import What, Who, parse_url
from corpproxy.policy.decide import Policy
from corpproxy.policy.exceptions import ExceptionEntry
from corpproxy.policy.model import Effect
from corpproxy.policy.partial import Gaps, PartialPolicy
from corpproxy.policy.staged import Mode, Stage
from tests.policy.builders import NETWORKS, allow, exceptions, facts, rule, some_facts, staged_rules
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

QUERY = Gaps(query=True)
# Facts that may be missing as a whole, and what then stands in their place.
UNREAD = {
    "address_classes": None,
    "addresses": None,
    "listener": "",
    "agent": "",
    "countries": None,
    "asns": None,
    "answer": None,
}
SHADOW = Stage(mode=Mode.SHADOW)


def doubt(policy, asked, gaps):
    """What stands in the way of a decision, as (rule, fact); None where it is certain."""
    found = PartialPolicy(policy).doubt(asked, gaps, policy.find(asked))
    return None if found is None else (found.rule, found.fact)


@st.composite
def partly_known(draw):
    """Facts, and the same with something missing: the query, categories, who asks and the like."""
    whole = draw(some_facts)
    kind = draw(st.sampled_from(["query", "categories", "who", "path", *UNREAD]))
    if kind == "query":
        query = draw(st.sampled_from(["?x=1", "?", "?a=b", "?news", "?mini"]))
        path = whole.path.partition("?")[0] or "/"
        return replace(whole, path=path + query), replace(whole, path=path), QUERY
    if kind == "categories":
        unknown = frozenset(draw(st.lists(st.sampled_from(["games", "news", "malware"]), max_size=2)))
        known = tuple(one for one in whole.categories if one not in unknown)
        return whole, replace(whole, categories=known), Gaps(categories=unknown)
    if kind == "who":
        who = ("identity.name", "identity.groups", "identity.source")
        return whole, replace(whole, identity=ANONYMOUS), Gaps(dict.fromkeys(who, "the person"))
    if kind in UNREAD:
        return whole, replace(whole, **{kind: UNREAD[kind]}), Gaps({kind: f"the {kind}"})
    return whole, replace(whole, path="/"), Gaps({"path": "the path"})


class CertainTests(SynchronousTestCase):
    """Whatever the missing fact is, it does not change what is called certain."""

    @EXAMPLES
    @given(st.lists(staged_rules, max_size=6), exceptions, partly_known())
    def test_certain(self, written, entries, asked):
        """What is decided without a fact is what is decided with it."""
        whole, known, gaps = asked
        policy = Policy(written, networks=NETWORKS, exceptions=entries)
        found = policy.find(known)
        if PartialPolicy(policy).doubt(known, gaps, found) is None:
            without, with_it = policy.answer(found, known), policy.answer(policy.find(whole), whole)
            self.assertEqual((without.effect, without.rule), (with_it.effect, with_it.rule))

    @EXAMPLES
    @given(st.lists(staged_rules, max_size=6), exceptions, some_facts)
    def test_nothing_missing(self, written, entries, asked):
        """Where everything is known there is no doubt."""
        self.assertIsNone(doubt(Policy(written, networks=NETWORKS, exceptions=entries), asked, Gaps()))


URL = What(url=(parse_url("www.example.com/watch?v=1"),))
PAGE = What(url=(parse_url("www.example.com/watch"),))


@tabular
class DoubtTests(SynchronousTestCase):
    """Where the missing fact may make a difference, that is said."""

    @rows(
        query_of_another_page=(URL, "/other", None),
        query_of_this_page=(URL, "/watch", ("rule", "the query")),
        page_without_query=(PAGE, "/watch", None),
        expression=(What(expression=("v=1",)), "/watch", ("rule", "the query")),
        expression_found=(What(expression=("watch",)), "/watch", None),
        expression_at_the_end=(What(expression=("watch$",)), "/watch", ("rule", "the query")),
        host=(What(domain=("example.com",)), "/watch", None),
    )
    def test_query(self, what, path, expected):
        """A missing query matters only to rules that ask for it."""
        asked = facts(f"http://www.example.com{path}")
        self.assertEqual(doubt(Policy([rule(what=what), allow()]), asked, QUERY), expected)

    def test_behind(self):
        """A doubtful rule behind the one that decides does not matter."""
        policy = Policy([rule("first", what=What(domain=("example.com",))), rule(what=URL), allow()])
        self.assertIsNone(doubt(policy, facts("http://www.example.com/watch"), QUERY))

    def test_other_key_fails(self):
        """Nor does one that another of its conditions rules out."""
        policy = Policy([rule(what=URL, who=Who(group=("staff",))), allow()])
        self.assertIsNone(doubt(policy, facts("http://www.example.com/watch"), QUERY))

    def test_shadow(self):
        """Nor does one in shadow, which changes nothing that happens."""
        policy = Policy([rule(what=URL, stage=SHADOW), allow()])
        self.assertIsNone(doubt(policy, facts("http://www.example.com/watch"), QUERY))

    def test_canary(self):
        """Whether a canary counts is not known where it is not known who asks."""
        policy = Policy([rule("canary", stage=Stage(share=1)), allow()])
        gaps = Gaps({"identity.name": "the person", "identity.groups": "the person"})
        self.assertEqual(doubt(policy, facts(identity=ANONYMOUS), gaps), ("canary", "the person"))
        elsewhere = Policy(
            [rule("canary", what=What(domain=("example.org",)), stage=Stage(share=1)), allow()]
        )
        self.assertIsNone(doubt(elsewhere, facts(identity=ANONYMOUS), gaps))

    def test_categories(self):
        """A category that a list of now might have had matters to rules that ask for it, or for none."""
        gaps = Gaps(categories=frozenset({"games"}))
        for what, expected in (
            (What(category=("games", "news")), ("rule", "the categories")),
            (What(category=("news",)), None),
            (What(uncategorised=True), ("rule", "the categories")),
        ):
            self.assertEqual(doubt(Policy([rule(what=what), allow()]), facts(), gaps), expected)
        self.assertIsNone(
            doubt(Policy([rule(what=What(uncategorised=True)), allow()]), facts(categories=("news",)), gaps)
        )

    def test_every_category(self):
        """A list whose categories only its content tells might have had any."""
        gaps = Gaps(categories=frozenset({"*"}))
        policy = Policy([rule(what=What(category=("news",))), allow()])
        self.assertEqual(doubt(policy, facts(), gaps), ("rule", "the categories"))

    def test_exception(self):
        """An exception that may go past the rule that decides is in doubt; one past others is not."""
        entry = ExceptionEntry("club", ("rule",), what=URL)
        policy = Policy([rule(), allow()], exceptions=[entry])
        asked = facts("http://www.example.com/watch")
        self.assertEqual(doubt(policy, asked, QUERY), ("club", "the query"))
        policy = Policy([rule(), allow()], exceptions=[replace(entry, past=("other",))])
        self.assertIsNone(doubt(policy, asked, QUERY))

    def test_same_effect(self):
        """The rule that decides is part of the decision: two rules with one effect are still two."""
        policy = Policy([rule("one", what=URL), rule("two"), allow()])
        self.assertEqual(doubt(policy, facts("http://www.example.com/watch"), QUERY), ("one", "the query"))
        self.assertEqual(policy.decide(facts()).effect, Effect.BLOCK)
