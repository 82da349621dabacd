"""Every decision can be explained, by what made it."""

from __future__ import annotations

import json

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.model import AddressClass, Match
from corpproxy.errors import Place
from corpproxy.identity.model import ANONYMOUS
from corpproxy.policy.conditions import What, Who, parse_url
from corpproxy.policy.decide import Policy
from corpproxy.policy.explain import explain
from corpproxy.policy.explanation_text import as_mapping, as_text
from corpproxy.policy.model import Effect, Safety
from corpproxy.policy.safe_search import SafeSearch, SafeSearchEntry
from tests.policy.builders import (
    LESSONS,
    LONDON,
    NETWORKS,
    allow,
    facts,
    local,
    policies,
    rule,
    some_facts,
)
from tests.policy.test_decide import granted
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

GAMES = rule(
    "games",
    who=Who(group=("pupils",)),
    what=What(category=("games",)),
    when=(LESSONS,),
    line=9,
    say="Games open again after lessons.",
)
POLICY = Policy(
    [
        rule("staff only", who=Who(group=("staff",)), line=7),
        GAMES,
        rule("no play", what=What(domain=("miniclip.com",)), line=12),
        allow(line=15),
    ],
    Safety(place=Place("policy.yaml", 3, 1)),
    networks=NETWORKS,
    time_zone=LONDON,
)
MATCHES = (Match("games", "ut1", "miniclip.com"),)
ASKED = facts("http://www.miniclip.com/", categories=("games",))


def words(asked_rule, asked):
    """What is said of one rule."""
    return explain(Policy([asked_rule], networks=NETWORKS, time_zone=LONDON), asked, MATCHES).steps[0].words


@tabular
class WordsTests(SynchronousTestCase):
    """Why a rule matches or does not, in words."""

    @rows(
        user=(Who(user=("beth", "carol")), What(), "user is amir, asked for beth or carol"),
        group=(Who(group=("staff",)), What(), "group is pupils, asked for staff"),
        network=(Who(network=("wifi",)), What(), "client is 10.1.2.3, asked for wifi"),
        listener=(Who(listener=("office",)), What(), "listener is rooms, asked for office"),
        anonymous=(Who(anonymous=True), What(), "amir signed in, asked for nobody"),
        category=(Who(), What(category=("news",)), "category is games, asked for news"),
        uncategorised=(Who(), What(uncategorised=True), "category is games, asked for none"),
        domain=(Who(), What(domain=("bbc.co.uk",)), "host is www.miniclip.com, asked for bbc.co.uk"),
        many=(
            Who(),
            What(domain=tuple("abcdef")),
            "host is www.miniclip.com, asked for a, b, c, d or 2 more",
        ),
        url=(
            Who(),
            What(url=(parse_url("bbc.co.uk/x"),)),
            "target is http://www.miniclip.com/, asked for bbc.co.uk/x",
        ),
        expression=(
            Who(),
            What(expression=("chess",)),
            "target is http://www.miniclip.com/, in which nothing fits chess",
        ),
        method=(Who(), What(method=("POST",)), "method is GET, asked for POST"),
        scheme=(Who(), What(scheme=("https",)), "scheme is http, asked for https"),
        port=(Who(), What(port=(443,)), "port is 80, asked for 443"),
        first_failing=(Who(user=("beth",)), What(port=(443,)), "user is amir, asked for beth"),
    )
    def test_mismatch(self, who, what, expected):
        """What stands against a rule first is named: what there is, and what is asked for."""
        for effect in (Effect.BLOCK, Effect.ALLOW):
            self.assertEqual(words(rule(effect=effect, who=who, what=what), ASKED), expected)

    @rows(
        nothing=(Who(), What(), "it is for every exchange"),
        category=(Who(), What(category=("news", "games")), "category games: list ut1, entry miniclip.com"),
        who=(Who(user=("amir",), group=("x", "pupils")), What(), "user amir; group pupils"),
        network=(Who(network=("wifi", "labs")), What(), "network labs"),
        domain=(Who(), What(domain=("bbc.co.uk", "miniclip.com")), "domain miniclip.com"),
        url=(Who(), What(url=(parse_url("miniclip.com"),)), "url miniclip.com/"),
        expression=(Who(), What(expression=("chess", "mini.*")), "expression mini.*"),
        rest=(
            Who(anonymous=False),
            What(method=("GET",), port=(80,)),
            "somebody signed in; method GET; port 80",
        ),
    )
    def test_evidence(self, who, what, expected):
        """What makes a rule match is named: of several values the one that it was."""
        self.assertEqual(words(rule(who=who, what=what), ASKED), expected)

    @rows(
        nobody=(Who(user=("amir",)), What(), {"identity": ANONYMOUS}, "nobody signed in, asked for amir"),
        no_group=(Who(group=("staff",)), What(), {"identity": ANONYMOUS}, "in no group, asked for staff"),
        no_client=(
            Who(network=("labs",)),
            What(),
            {"client": ""},
            "client is of unknown address, asked for labs",
        ),
        no_category=(Who(), What(category=("news",)), {"categories": ()}, "in no category, asked for news"),
        address=(
            Who(),
            What(address=(AddressClass.PRIVATE,)),
            {"address_classes": frozenset({AddressClass.PUBLIC})},
            "address is public, asked for private",
        ),
        address_unknown=(
            Who(),
            What(address=(AddressClass.PRIVATE,)),
            {},
            "the address is not known here, so that this refuses it",
        ),
    )
    def test_other_facts(self, who, what, changed, expected):
        """Facts that are missing are said to be missing."""
        asked = facts("http://www.miniclip.com/", **{"categories": ("games",), **changed})
        self.assertEqual(words(rule(who=who, what=what), asked), expected)

    def test_tunnel(self):
        """A rule about a path says why it cannot match a tunnel."""
        asked = rule(what=What(url=(parse_url("miniclip.com/chess"),)))
        self.assertEqual(
            words(asked, facts("https://www.miniclip.com")),
            "a tunnel shows no path, asked for miniclip.com/chess",
        )

    def test_hours(self):
        """Hours say what the clock shows."""
        asked = facts(at=local("2026-11-23T16:00"))
        self.assertEqual(words(rule(when=(LESSONS,)), asked), "it is Mon 2026-11-23 16:00, asked for lessons")
        self.assertEqual(words(rule(when=(LESSONS,)), facts()), "during lessons")

    def test_missing(self):
        """A rule that refuses because a list is missing says so, and so does one that cannot allow."""
        policy = Policy(
            [allow("free", what=What(uncategorised=True)), rule(what=What(category=("malware", "games")))],
            missing_categories=frozenset({"malware"}),
        )
        steps = explain(policy, facts()).steps
        self.assertEqual(steps[0].words, "in no category as far as is known, but a list is missing")
        self.assertEqual(steps[1].words, "the list of malware is missing, so that this refuses everything")


class ExplanationTests(SynchronousTestCase):
    """The whole of it."""

    def test_text(self):
        """Each rule in turn, the deciding one marked, then what was decided and what else would refuse."""
        self.assertEqual(
            as_text(explain(POLICY, ASKED, MATCHES), LONDON),
            """\
GET http://www.miniclip.com/
who: amir (basic), groups pupils, from 10.1.2.3, listener rooms
when: Mon 2026-11-23 10:00
category games: list ut1, entry miniclip.com

    staff only (block) at policy.yaml:7:5: does not match: group is pupils, asked for staff
->  games (block) at policy.yaml:9:5: matches: group pupils; category games: list ut1, entry miniclip.com; \
during lessons
    no play (block) at policy.yaml:12:5: not reached; matches: domain miniclip.com
    everything else (allow) at policy.yaml:15:5: not reached; matches: it is for every exchange

block by 'games' at policy.yaml:9:5: category games; group pupils; during lessons
the person reads: Games open again after lessons.
would be refused later too, by 'no play'
""",
        )

    def test_safety(self):
        """What the safety table refuses is shown after the rule that let it through."""
        explanation = explain(POLICY, facts("https://example.com:22"))
        self.assertEqual([step.decides for step in explanation.steps], [False, False, False, True])
        text = as_text(explanation, LONDON)
        self.assertIn(
            "    safety: connect_ports at policy.yaml:3:1: "
            "refuses: tunnels may go to port 80, 443, not to 22",
            text.splitlines(),
        )
        self.assertIn("block by 'safety: connect_ports' at policy.yaml:3:1: tunnels may go", text)

    def test_safety_passed(self):
        """What safety does not refuse is shown too."""
        steps = explain(POLICY, facts("https://example.com")).safety
        self.assertEqual([(step.entry, step.refusal) for step in steps], [
            ("connect_ports", ""), ("connect_to", ""), ("addresses", "")
        ])  # fmt: skip

    def test_address_later(self):
        """That the address of a name is checked when it is dialled is told."""
        self.assertIn(
            "safety: addresses at policy.yaml:3:1: "
            "asked of each address that is dialled; public addresses may be reached\n",
            as_text(explain(POLICY, facts("https://example.com")), LONDON),
        )

    def test_no_rule(self):
        """Where nothing matches, that is the explanation."""
        text = as_text(explain(Policy([GAMES]), facts()), LONDON)
        self.assertIn("categories: none\n", text)
        self.assertIn("block by no rule: no rule matches\n", text)

    def test_redirect(self):
        """Where the browser is sent is told."""
        policy = Policy([rule("moved", Effect.REDIRECT, location="http://proxy.internal/{host}")])
        self.assertIn(
            "sent to http://proxy.internal/example.com",
            as_text(explain(policy, facts("http://example.com/")), LONDON),
        )

    def test_safe_search(self):
        """The host that is connected to instead is told."""
        search = SafeSearch([SafeSearchEntry()])
        explanation = explain(POLICY, facts("https://www.bing.com"), safe_search=search)
        self.assertEqual(explanation.dial_host.name, "strict.bing.com")
        self.assertIn(
            "safe search: connected to strict.bing.com for www.bing.com", as_text(explanation, LONDON)
        )

    def test_grant(self):
        """A confirmed warning is explained as what it does now."""
        policy = Policy([rule("gambling", Effect.WARN)], time_zone=LONDON)
        asked = facts("http://bet.example/")
        explanation = explain(policy, asked, grants=granted(who="amir"))
        self.assertEqual(explanation.decision.effect, Effect.ALLOW)
        self.assertEqual(len(explanation.safety), 3)

    def test_json(self):
        """Programs read the same as values."""
        read = json.loads(json.dumps(as_mapping(explain(POLICY, ASKED, MATCHES), LONDON)))
        self.assertEqual(read["decision"]["rule"], "games")
        self.assertEqual(
            read["categories"], [{"category": "games", "list": "ut1", "entry": "miniclip.com", "line": ""}]
        )
        self.assertEqual([one["decides"] for one in read["rules"]], [False, True, False, False])
        self.assertEqual(read["also_refusing"], ["no play"])
        self.assertEqual(read["asked"]["at"], "Mon 2026-11-23 10:00")

    @EXAMPLES
    @given(policies, some_facts)
    def test_same_decision(self, written, asked):
        """What is explained is what is decided, for any rules and any exchange; and it can be printed."""
        policy = Policy(written, networks=NETWORKS)
        explanation = explain(policy, asked)
        self.assertEqual(explanation.decision, policy.decide(asked))
        deciding = [number for number, step in enumerate(explanation.steps) if step.decides]
        first = next((number for number, step in enumerate(explanation.steps) if step.matches), None)
        self.assertEqual(deciding, [] if first is None else [first])
        self.assertTrue(as_text(explanation, LONDON))
        self.assertTrue(json.dumps(as_mapping(explanation, LONDON)))

    @EXAMPLES
    @given(policies, some_facts)
    def test_changes_nothing(self, written, asked):
        """Explaining another time leaves the policy that is in force as it was."""
        policy = Policy(written, networks=NETWORKS)
        before = policy.decide(asked)
        explain(policy, facts(at=local("2026-11-28T23:00")))
        self.assertEqual(policy.decide(asked), before)
