"""Who is asked to sign in: only those on whose name the rules depend."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.policy.conditions import What, Who
from corpproxy.policy.decide import Policy
from corpproxy.policy.doorway import loosened, names_people
from corpproxy.policy.exceptions import ALL_RULES, ExceptionEntry
from corpproxy.policy.model import Effect
from corpproxy.policy.staged import Mode, Stage
from tests.policy.builders import (
    AMIR,
    CAROL,
    NETWORKS,
    allow,
    exceptions,
    facts,
    rule,
    some_facts,
    staged_rules,
    whos,
)
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

STAFF, SIGNED_IN = Who(group=("staff",)), Who(anonymous=False)
GAMES, NEWS = What(category=("games",)), What(category=("news",))
NOT_STAFF = Who(not_=STAFF)
FILTER = Who(network=("labs",), any_=(STAFF, Who(user=("amir",))))

UPDATES = allow("updates", what=NEWS)
NO_GAMES = rule("no games", what=GAMES)
SIGNED = allow("signed in", who=SIGNED_IN)
END = rule("the end")


@tabular
class DoorwayTests(SynchronousTestCase):
    """Rules, what is asked for, and whether somebody without a name must sign in."""

    @rows(
        open_to_all=([UPDATES, SIGNED, END], ("news",), False),
        closed_to_all=([NO_GAMES, SIGNED, END], ("games",), False),
        the_rest=([UPDATES, NO_GAMES, SIGNED, END], (), True),
        nobody_asked=([UPDATES, END], (), False),
        by_group=([rule("staff", who=STAFF, what=GAMES), END], ("games",), True),
        by_group_elsewhere=([rule("staff", who=STAFF, what=GAMES), END], (), False),
        all_but_a_group=([rule("others", who=NOT_STAFF), END], (), True),
        who_is_nobody=([rule("strangers", who=Who(anonymous=True)), END], (), True),
        in_another_network=([allow("labs", who=replace(SIGNED_IN, network=("labs",))), END], (), False),
        one_of_two=([allow("some", who=Who(any_=(STAFF, Who(network=("wifi",))))), END], (), True),
        never=([allow("none", who=Who(not_=Who())), END], (), False),
        rehearsed=([rule("staff", who=STAFF, stage=Stage(Mode.SHADOW)), END], (), False),
        some_people=([rule("some", stage=Stage(share=100)), END], (), True),
        no_rules=([], (), False),
    )
    def test_asked(self, made, categories, expected):
        """The first rule that may match decides whether a name is needed."""
        asked = facts(identity=ANONYMOUS, client="192.0.2.7", categories=categories)
        self.assertIs(Policy(made, networks=NETWORKS).asks_who(asked), expected)

    @rows(
        for_some=(Who(group=("staff",)), ("games",), True),
        for_all=(Who(), ("games",), True),
        elsewhere=(Who(group=("staff",)), (), True),
    )
    def test_exceptions(self, who, categories, expected):
        """An exception is a reason to ask who somebody is, when it is for some or leaves a rule that is."""
        entry = ExceptionEntry("club", (ALL_RULES,), who=who, what=GAMES)
        policy = Policy([NO_GAMES, SIGNED, END], networks=NETWORKS, exceptions=[entry])
        asked = facts(identity=ANONYMOUS, categories=categories)
        self.assertIs(policy.asks_who(asked), expected)

    @EXAMPLES
    @given(
        st.lists(staged_rules, max_size=6),
        exceptions,
        some_facts,
        st.sampled_from([AMIR, CAROL, Identity("dora", ("pupils", "staff"))]),
    )
    def test_a_name_changes_nothing(self, made, entries, asked, identity):
        """Where nobody is asked, everybody gets what somebody without a name gets."""
        policy = Policy(made, networks=NETWORKS, exceptions=entries)
        unnamed = replace(asked, identity=ANONYMOUS)
        if not policy.asks_who(unnamed):
            by_name = policy.decide(replace(asked, identity=identity))
            without = policy.decide(unnamed)
            self.assertEqual((by_name.effect, by_name.rule), (without.effect, without.rule))

    @EXAMPLES
    @given(whos, some_facts)
    def test_loosened(self, who, asked):
        """What is left of a condition asks nobody's name, and holds whenever the condition does."""
        left = loosened(who)
        holds = Policy([rule("one", who=who)], networks=NETWORKS).find(asked).rule == 0
        if left is None:
            self.assertFalse(holds)
            return
        self.assertFalse(names_people(left))
        if holds:
            self.assertEqual(Policy([rule("one", who=left)], networks=NETWORKS).find(asked).rule, 0)

    def test_a_block_needs_no_name(self):
        """What everybody is refused is refused at once: it is no way to learn that there is a sign-in."""
        policy = Policy([NO_GAMES, SIGNED, END], networks=NETWORKS)
        asked = facts(identity=ANONYMOUS, categories=("games",))
        self.assertFalse(policy.asks_who(asked))
        self.assertIs(policy.decide(asked).effect, Effect.BLOCK)
