"""What grants let past: overridable rules, and nothing that the policy keeps for itself."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.grants import ANY_RULE, GROUP, Grant, Grants
from corpproxy.policy.conditions import What, Who
from corpproxy.policy.decide import Policy
from corpproxy.policy.exceptions import ExceptionEntry
from corpproxy.policy.model import Effect
from corpproxy.policy.staged import Mode, Stage
from tests.policy.builders import AMIR, MONDAY, facts, rule
from tests.support.rows import rows, tabular

GAMES = rule("no games", what=What(domain=("games.example",)))
MALWARE = rule("never malware", what=What(category=("malware",)), override=False)
TRUSTED = rule("trusted", Effect.ALLOW, what=What(domain=("good.games.example",)))
PUPILS = rule("pupils work", who=Who(group=("pupils",)))
ALL = rule("everything", Effect.ALLOW)
LESSON = Grant("amir", "games.example", "no games", MONDAY + 600, "beth", "chess club", "0nk4x7a2k40001")


@tabular
class GrantedTests(SynchronousTestCase):
    """A rule that blocks, and a grant past it."""

    def decide(self, *rules, grant=LESSON, url="http://games.example/", **more):
        self.grants = Grants()
        if grant is not None:
            self.grants.add(grant)
        self.policy = Policy([*rules, ALL], exceptions=more.pop("exceptions", ()))
        return self.policy.decide(facts(url, **more), self.grants)

    def test_let_through(self):
        """The decision names the rule, who gave the grant, until when, and its id."""
        decision = self.decide(GAMES)
        self.assertEqual((decision.effect, decision.rule), (Effect.ALLOW, "no games"))
        self.assertEqual(decision.reason, "granted by beth until Mon 2026-11-23 10:10")
        self.assertEqual((decision.grant, decision.granted), ("0nk4x7a2k40001", MONDAY + 600))

    def test_ends(self):
        """It ends by itself, and when it is ended."""
        self.assertEqual(self.decide(GAMES, at=MONDAY + 600).effect, Effect.BLOCK)
        self.decide(GAMES)
        self.grants.end(LESSON.id)
        self.assertEqual(self.policy.decide(facts("http://games.example/"), self.grants).effect, Effect.BLOCK)

    @rows(
        other_host=("http://other.games/",),
        above=("http://example/",),
    )
    def test_elsewhere(self, url):
        """It is for its host and all below it, no other."""
        blocked = rule("no games", what=What(domain=("games", "example")))
        self.assertEqual(self.decide(blocked, url=url).effect, Effect.BLOCK)

    def test_other_rule(self):
        """It goes past the rule that it names, and past every one where it names none."""
        self.assertEqual(self.decide(PUPILS).effect, Effect.BLOCK)
        self.assertEqual(self.decide(PUPILS, grant=replace(LESSON, rule=ANY_RULE)).effect, Effect.ALLOW)

    @rows(before=((MALWARE, GAMES),), behind=((GAMES, MALWARE),))
    def test_never(self, rules):
        """A rule with ``override: no`` refuses wherever it stands, whatever was granted."""
        for grant in (LESSON, replace(LESSON, rule=ANY_RULE)):
            decision = self.decide(*rules, grant=grant, categories=("malware",))
            self.assertEqual((decision.effect, decision.rule), (Effect.BLOCK, "never malware"))
            self.assertFalse(decision.may_be_overridden)

    def test_allowed_before(self):
        """Behind a rule that lets it through, such a rule would never have been asked."""
        decision = self.decide(
            GAMES, TRUSTED, MALWARE, url="http://good.games.example/", categories=("malware",)
        )
        self.assertEqual(decision.effect, Effect.ALLOW)

    def test_rehearsed(self):
        """A rule in shadow refuses nothing here either."""
        shadow = replace(MALWARE, stage=Stage(Mode.SHADOW))
        self.assertEqual(self.decide(GAMES, shadow, categories=("malware",)).effect, Effect.ALLOW)

    def test_excepted(self):
        """Nor does one that an exception goes past."""
        entry = ExceptionEntry("lab", past=("never malware",), owner="dan", reason="x", permanent=True)
        decision = self.decide(GAMES, MALWARE, categories=("malware",), exceptions=[entry])
        self.assertEqual(decision.effect, Effect.ALLOW)

    def test_safety(self):
        """What the safety table refuses stays refused."""
        decision = self.decide(GAMES, url="https://games.example:22/")
        self.assertEqual((decision.effect, decision.rule), (Effect.BLOCK, "safety: connect_ports"))

    def test_group(self):
        """A grant for a group lets in who is in it."""
        grant = replace(LESSON, who=GROUP + "pupils")
        self.assertEqual(self.decide(GAMES, grant=grant).effect, Effect.ALLOW)
        other = replace(AMIR, groups=("staff",))
        self.assertEqual(self.decide(GAMES, grant=grant, identity=other).effect, Effect.BLOCK)

    def test_redirect(self):
        """A redirect is no refusal, and no grant goes past it."""
        moved = replace(GAMES, effect=Effect.REDIRECT, location="http://new.example/")
        self.assertEqual(self.decide(moved).effect, Effect.REDIRECT)

    def test_nobody_asked(self):
        """Where nothing is granted at all, a block costs no more than before."""
        asked = []
        self.decide(GAMES, grant=None)
        self.grants.holds = lambda *facts: asked.append(facts)
        self.policy.decide(facts("http://games.example/"), self.grants)
        self.assertEqual(asked, [])
