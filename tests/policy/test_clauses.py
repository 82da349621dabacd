"""Parts inside parts: any, all and not, as they match and as explanations tell them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.model import AddressClass
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.policy.conditions import What, Who
from corpproxy.policy.decide import Policy
from corpproxy.policy.explain import explain
from corpproxy.policy.implication import Implications, excludes_itself, implies
from corpproxy.policy.model import Effect
from corpproxy.policy.reasons import part_in_words
from corpproxy.policy.table import Table
from tests.policy import slowly
from tests.policy.builders import AMIR, CAROL, NETWORKS, allow, facts, rule, rules, some_facts
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

STAFF, PUPILS = Who(group=("staff",)), Who(group=("pupils",))
GAMES, NEWS = What(category=("games",)), What(category=("news",))
BOTH = Identity("dora", ("pupils", "staff"))
PLAYED = facts("http://miniclip.com/", categories=("games",))


@tabular
class MatchTests(SynchronousTestCase):
    """One rule and one exchange."""

    @rows(
        not_staff=(Who(not_=STAFF), What(), facts(identity=AMIR), True),
        not_staff_but_staff=(Who(not_=STAFF), What(), facts(identity=CAROL), False),
        not_staff_and_both=(Who(not_=STAFF), What(), facts(identity=BOTH), False),
        not_staff_and_nobody=(Who(not_=STAFF), What(), facts(identity=ANONYMOUS), True),
        pupils_not_staff=(Who(group=("pupils",), not_=STAFF), What(), facts(identity=BOTH), False),
        not_both_keys=(Who(not_=Who(user=("amir",), group=("staff",))), What(), facts(), True),
        any_second=(Who(any_=(STAFF, Who(network=("labs",)))), What(), facts(), True),
        any_none=(Who(any_=(STAFF, Who(network=("wifi",)))), What(), facts(), False),
        any_and_key=(Who(user=("beth",), any_=(PUPILS,)), What(), facts(), False),
        all_of=(Who(all_=(STAFF, PUPILS)), What(), facts(identity=BOTH), True),
        all_but_one=(Who(all_=(STAFF, PUPILS)), What(), facts(identity=AMIR), False),
        not_any=(Who(not_=Who(any_=(STAFF, PUPILS))), What(), facts(identity=AMIR), False),
        not_any_else=(Who(not_=Who(any_=(STAFF, PUPILS))), What(), facts(identity=ANONYMOUS), True),
        not_not=(Who(not_=Who(not_=PUPILS)), What(), facts(identity=AMIR), True),
        any_of_all=(
            Who(any_=(Who(all_=(STAFF, PUPILS)), Who(user=("amir",)))), What(), facts(), True,
        ),
        any_in_all=(
            Who(all_=(Who(any_=(STAFF, PUPILS)), Who(any_=(STAFF,)))), What(), facts(), False,
        ),
        what_any=(Who(), What(any_=(NEWS, What(domain=("miniclip.com",)))), PLAYED, True),
        what_not=(Who(), What(not_=GAMES), PLAYED, False),
        both_sides=(Who(not_=STAFF), What(category=("games",), not_=What(port=(443,))), PLAYED, True),
        both_sides_other=(Who(not_=PUPILS), What(category=("games",), not_=What(port=(443,))), PLAYED, False),
    )  # fmt: skip
    def test_matches(self, who, what, asked, expected):
        """Parts inside a part hold as they are written."""
        for effect in Effect:
            table = Table([rule(effect=effect, who=who, what=what)], NETWORKS)
            self.assertEqual(table.first(asked), 0 if expected else -1)
            self.assertEqual(table.matching(asked, 1), int(expected))

    def test_first_of_many(self):
        """Rows with parts inside them and plain ones keep their order."""
        table = Table([rule(who=Who(not_=PUPILS)), rule(what=GAMES), rule(who=Who(any_=(PUPILS,))), rule()])
        asked = (facts(identity=CAROL), PLAYED, facts(), facts(identity=CAROL, categories=("games",)))
        self.assertEqual([table.first(one) for one in asked], [0, 1, 2, 0])
        self.assertEqual(table.matching(PLAYED, 0b1111), 0b1110)

    @rows(
        block=(Effect.BLOCK, What(category=("malware",)), 0),
        allow=(Effect.ALLOW, What(category=("malware",)), -1),
        block_not=(Effect.BLOCK, What(not_=What(category=("malware",))), 0),
        allow_not=(Effect.ALLOW, What(not_=What(category=("malware",))), -1),
        block_not_not=(Effect.BLOCK, What(not_=What(not_=What(category=("malware",)))), 0),
        allow_any=(Effect.ALLOW, What(any_=(What(category=("malware",)),)), -1),
        block_any=(Effect.BLOCK, What(any_=(What(category=("malware",)),)), 0),
        block_not_address=(Effect.BLOCK, What(not_=What(address=(AddressClass.PUBLIC,))), 0),
        allow_not_address=(Effect.ALLOW, What(not_=What(address=(AddressClass.PRIVATE,))), -1),
    )
    def test_unknown(self, effect, what, expected):
        """What cannot be known refuses and never allows, also turned round by not."""
        table = Table([rule(effect=effect, what=what)], missing=frozenset({"malware"}))
        self.assertEqual(table.first(facts()), expected)


@tabular
class WordsTests(SynchronousTestCase):
    """What explanations and records say of parts inside parts."""

    @rows(
        not_group=(Who(not_=STAFF), "not group staff"),
        not_both=(Who(not_=Who(user=("amir",), group=("staff",))), "not (user amir and group staff)"),
        any_of=(What(any_=(GAMES, What(port=(80,), method=("POST",)))),
                "category games or method POST and port 80"),
        all_of=(Who(all_=(STAFF, PUPILS)), "group staff and group pupils"),
        nothing=(Who(), "anything"),
    )  # fmt: skip
    def test_part(self, part, expected):
        """A part is one phrase."""
        self.assertEqual(part_in_words(part), expected)

    @rows(
        taken_out=(Who(not_=STAFF), What(), CAROL, False, "taken out by 'not': group staff"),
        left=(Who(not_=STAFF), What(), AMIR, True, "not group staff"),
        none_of=(Who(any_=(STAFF, Who(user=("beth",)))), What(), AMIR, False,
                 "none of several holds: "
                 "(group is pupils, asked for staff) and (user is amir, asked for beth)"),
        one_of=(Who(any_=(STAFF, Who(user=("amir",)))), What(), AMIR, True, "user amir"),
        all_of=(Who(all_=(PUPILS, STAFF)), What(), AMIR, False, "group is pupils, asked for staff"),
        plain_first=(Who(user=("beth",), not_=PUPILS), What(), AMIR, False, "user is amir, asked for beth"),
    )  # fmt: skip
    def test_step(self, who, what, identity, matches, words):
        """An explanation says which part stands against a rule, or by which it holds."""
        policy = Policy([rule(who=who, what=what), allow()], networks=NETWORKS)
        step = explain(policy, facts(identity=identity)).steps[0]
        self.assertEqual((step.matches, step.words), (matches, words))

    def test_category(self):
        """A category that made a rule match is named in the decision, also from inside another part."""
        policy = Policy([rule(what=What(any_=(GAMES, NEWS))), allow()])
        decision = policy.decide(PLAYED)
        self.assertEqual((decision.category, decision.reason), ("games", "category games or category news"))


@tabular
class ImplicationTests(SynchronousTestCase):
    """Which rules leave nothing for which."""

    @rows(
        any_of_one=(Who(any_=(STAFF, PUPILS)), PUPILS, True),
        each_alternative=(Who(group=("staff", "pupils")), Who(any_=(STAFF, PUPILS)), True),
        one_alternative=(STAFF, Who(any_=(STAFF, PUPILS)), False),
        all_has_it=(STAFF, Who(all_=(STAFF, PUPILS)), True),
        all_asked=(Who(all_=(STAFF, PUPILS)), STAFF, False),
        wider_not=(Who(not_=STAFF), Who(not_=Who(group=("staff", "pupils"))), True),
        narrower_not=(Who(not_=Who(group=("staff", "pupils"))), Who(not_=STAFF), False),
        not_and_more=(Who(not_=STAFF), Who(user=("amir",), not_=STAFF), True),
        not_told=(Who(not_=STAFF), PUPILS, False),
    )
    def test_implies(self, earlier, later, expected):
        """An earlier rule leaves nothing where everything that it asks follows."""
        self.assertEqual(implies(rule(who=later), rule(who=earlier), NETWORKS), expected)

    @rows(
        itself=(Who(group=("pupils",), not_=PUPILS), True),
        part=(Who(user=("amir",), group=("pupils",), not_=PUPILS), True),
        other=(Who(group=("pupils",), not_=STAFF), False),
        without=(PUPILS, False),
    )
    def test_excludes_itself(self, who, expected):
        """A part whose not takes out all that it asks for holds for nothing."""
        self.assertEqual(excludes_itself(who, NETWORKS), expected)

    @EXAMPLES
    @given(st.lists(rules, max_size=12))
    def test_as_one_by_one(self, written):
        """What is found by keys is what is found by holding every rule against every other."""
        found = Implications(written, NETWORKS)
        for number, later in enumerate(written):
            slow = [n for n, one in enumerate(written[:number]) if implies(later, one, NETWORKS)]
            self.assertEqual(list(found.before(number)), slow)


class PropertyTests(SynchronousTestCase):
    """The compiled table and the grammar read naively agree."""

    @EXAMPLES
    @given(st.lists(rules, max_size=6), some_facts, st.sampled_from([frozenset(), frozenset({"games"})]))
    def test_matching(self, written, asked, missing):
        """Every row that matches is given, and no other."""
        table = Table(written, NETWORKS, missing)
        found = table.matching(asked, table.in_force(asked.at))
        slow = [slowly.matches(one, asked, missing) for one in written]
        self.assertEqual([bool(found >> n & 1) for n in range(len(written))], slow)
