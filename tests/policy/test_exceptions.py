"""Exceptions: who may have what in spite of which rules, until when."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import Place
from corpproxy.policy.conditions import What, Who
from corpproxy.policy.decide import Policy
from corpproxy.policy.exceptions import ALL_RULES, ExceptionEntry
from corpproxy.policy.explain import explain
from corpproxy.policy.explanation_text import as_mapping, as_text
from corpproxy.policy.model import Effect, Safety
from corpproxy.policy.staged import Mode, Period, Stage
from tests.policy.builders import CAROL, LESSONS, LONDON, MONDAY, allow, facts, local, rule
from tests.support.rows import rows, tabular

GAMES = rule("games", what=What(category=("games",)), line=7)
MALWARE = rule("malware", what=What(category=("malware",)), line=8)
REST = allow("the rest", line=9)
GAME = facts("http://chess.example/", categories=("games",))
FRIDAY = local("2026-11-27T16:00")


def exception(name="chess club", past=("games",), **more):
    """An exception for Amir until Friday."""
    values = {
        "who": Who(user=("amir",)),
        "owner": "carol",
        "reason": "tournament",
        "period": Period(end=FRIDAY),
        "place": Place("exceptions.d/club.yaml", 2, 5),
    }
    return ExceptionEntry(name, past, **{**values, **more})


def policy(*entries, written=(GAMES, MALWARE, REST), safety=None):
    """A policy with exceptions."""
    return Policy(written, safety, time_zone=LONDON, exceptions=entries)


@tabular
class ExceptionTests(SynchronousTestCase):
    """What an exception lets through, and what not."""

    def test_past(self):
        """The rule that is named is as if it were not there, and the next one that matches decides."""
        decision = policy(exception()).decide(GAME)
        self.assertEqual(
            (decision.effect, decision.rule, decision.exception), (Effect.ALLOW, "the rest", "chess club")
        )
        self.assertEqual(
            decision.reason, "it is for every exchange; exception 'chess club' goes past 'games'"
        )

    @rows(
        somebody_else=(replace(GAME, identity=CAROL),),
        another_rule=(replace(GAME, categories=("games", "malware")),),
        over=(replace(GAME, at=FRIDAY),),
    )
    def test_others(self, asked):
        """It is for whom it names, past what it names, until it ends."""
        self.assertEqual(policy(exception()).decide(asked).effect, Effect.BLOCK)

    def test_ends(self):
        """It ends by itself, to the second, though decisions are remembered."""
        asked = policy(exception())
        for at, effect in ((FRIDAY - 1, "allow"), (FRIDAY, "block"), (FRIDAY - 1, "allow")):
            self.assertEqual(asked.decide(replace(GAME, at=at)).effect, effect)
        self.assertEqual(asked.next_change(MONDAY), FRIDAY)

    def test_begins(self):
        """One with a beginning waits for it."""
        asked = policy(exception(period=Period(MONDAY + 60, FRIDAY)))
        self.assertEqual(
            [asked.decide(replace(GAME, at=MONDAY + s)).effect for s in (59, 60)], ["block", "allow"]
        )

    def test_hours(self):
        """It holds in its hours."""
        asked = policy(exception(when=(LESSONS,)))
        evening = replace(GAME, at=local("2026-11-23T18:00"))
        self.assertEqual([asked.decide(one).effect for one in (GAME, evening)], ["allow", "block"])

    def test_all(self):
        """Past all rules: whatever refuses, for what it names."""
        asked = policy(exception(past=(ALL_RULES,), what=What(domain=("chess.example",))))
        self.assertEqual(asked.decide(replace(GAME, categories=("games", "malware"))).effect, Effect.ALLOW)
        self.assertEqual(
            asked.decide(facts("http://other.example/", categories=("games",))).effect, Effect.BLOCK
        )

    def test_nothing_left(self):
        """Where no other rule matches, the exception itself lets through, with its own name and place."""
        asked = policy(exception(past=("closed",)), written=[rule("closed")])
        decision = asked.decide(GAME)
        self.assertEqual(
            (decision.effect, decision.rule, decision.exception), ("allow", "chess club", "chess club")
        )
        self.assertEqual(decision.place, Place("exceptions.d/club.yaml", 2, 5))
        self.assertEqual(decision.reason, "no other rule matches; exception 'chess club' goes past 'closed'")

    @rows(port=("https://chess.example:22", "connect_ports"), address=("http://10.0.0.1/", "addresses"))
    def test_safety(self, url, entry):
        """What the safety table refuses stays refused, whatever the exception goes past."""
        for written in ((GAMES, REST), (rule("games"),)):
            asked = policy(exception(past=(ALL_RULES,)), written=written, safety=Safety())
            self.assertEqual(asked.decide(facts(url, categories=("games",))).rule, f"safety: {entry}")

    def test_no_exceptions(self):
        """A rule that nothing may go past stays, also for an exception past all."""
        closed = replace(MALWARE, exceptions=False)
        asked = policy(exception(past=(ALL_RULES,)), written=(GAMES, closed, REST))
        self.assertEqual(asked.decide(replace(GAME, categories=("games", "malware"))).rule, "malware")

    def test_nothing_passed(self):
        """Where it makes no difference it is not named."""
        self.assertEqual(policy(exception()).decide(facts()).exception, "")

    def test_first_is_named(self):
        """Of two that go past the same rule the first is named."""
        self.assertEqual(policy(exception("one"), exception("two")).decide(GAME).exception, "one")

    def test_together(self):
        """Two exceptions let through what neither would."""
        asked = replace(GAME, categories=("games", "malware"))
        both = policy(exception("one"), exception("two", past=("malware",)))
        self.assertEqual(both.decide(asked).exception, "one")

    def test_warning(self):
        """A rule that warns is gone past, too."""
        warning = rule("games", Effect.WARN, what=What(category=("games",)))
        self.assertEqual(policy(exception(), written=(warning, REST)).decide(GAME).effect, Effect.ALLOW)

    def test_rehearsal(self):
        """For whom there is an exception a rule in shadow would have done nothing."""
        shadow = replace(GAMES, stage=Stage(mode=Mode.SHADOW))
        self.assertEqual(policy(written=(shadow, REST)).decide(GAME).would_block, "games")
        self.assertEqual(policy(exception(), written=(shadow, REST)).decide(GAME).would_block, "")

    def test_missing_list(self):
        """While a list is missing, an exception by its categories gives nothing."""
        asked = policy(exception(what=What(category=("chess",))), written=(rule("closed"),))
        chess = replace(GAME, categories=("chess",))
        self.assertEqual(policy(exception(past=("closed",), what=What(category=("chess",))),
                                written=(rule("closed"),)).decide(chess).effect, "allow")  # fmt: skip
        self.assertEqual(asked.with_missing({"chess"}).decide(facts()).effect, "block")

    def test_reads(self):
        """What exceptions look at is read, and their categories are wanted."""
        asked = policy(exception(what=What(category=("chess",))), written=(rule("closed"),))
        self.assertLessEqual({"identity", "categories", "at"}, asked.reads)
        self.assertEqual(asked.categories, {"chess"})
        self.assertNotIn("at", policy(exception(period=Period())).reads)

    def test_kept_with_missing(self):
        """A policy without some lists still has its exceptions."""
        self.assertEqual(policy(exception()).with_missing(()).decide(GAME).exception, "chess club")


class ExplainedTests(SynchronousTestCase):
    """An explanation tells each exception, and what it takes away."""

    def test_steps(self):
        """The rule that is gone past says by what, and the exception by what it matches."""
        found = explain(policy(exception(), exception("other", who=Who(user=("beth",)))), GAME)
        self.assertEqual([step.passed_by for step in found.steps], ["chess club", "", ""])
        self.assertEqual(
            [(step.matches, step.words) for step in found.exceptions],
            [(True, "user amir"), (False, "user is amir, asked for beth")],
        )

    def test_ended(self):
        """One that is over says since when."""
        (step,) = explain(policy(exception()), replace(GAME, at=FRIDAY)).exceptions
        self.assertEqual((step.matches, step.words), (False, "ended Fri 2026-11-27 16:00"))

    def test_text(self):
        """Both stand in the text."""
        text = as_text(explain(policy(exception()), GAME), LONDON)
        self.assertIn(
            "+>  exception chess club (past 'games') at exceptions.d/club.yaml:2:5: matches: user amir; "
            "ends Fri 2026-11-27 16:00; carol: tournament\n",
            text,
        )
        self.assertIn(
            "    games (block) at policy.yaml:7:5: matches, but exception 'chess club' goes past it", text
        )
        self.assertIn("-> the rest".replace("-> ", "->  "), text)

    def test_mapping(self):
        """And in what programs read."""
        found = as_mapping(explain(policy(exception()), GAME), LONDON)
        self.assertEqual(found["decision"]["exception"], "chess club")
        self.assertEqual(found["exceptions"][0]["past"], ["games"])
        self.assertEqual(found["rules"][0]["passed_by"], "chess club")

    def test_also_refusing(self):
        """What an exception goes past does not refuse it too."""
        found = explain(policy(exception(past=(ALL_RULES,)), written=[allow(), GAMES]), GAME)
        self.assertEqual(found.also_refusing, ())
