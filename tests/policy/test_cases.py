"""The policy's own tests."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import Place
from corpproxy.policy.cases import Case, run_cases
from corpproxy.policy.conditions import What, Who
from corpproxy.policy.decide import Policy
from corpproxy.policy.exceptions import ExceptionEntry
from corpproxy.policy.model import Answer
from corpproxy.policy.staged import Mode, Stage
from tests.policy.builders import LESSONS, LONDON, MONDAY, allow, local, rule
from tests.policy.test_question import SURROUNDINGS
from tests.support.rows import rows, tabular

SHADOW = Stage(mode=Mode.SHADOW)
STAGED = Policy(
    [
        rule("games", what=What(category=("games",))),
        rule("mini", what=What(domain=("miniclip.com",)), stage=SHADOW),
        allow(),
    ],
    time_zone=LONDON,
    exceptions=[ExceptionEntry("club", ("games",), who=Who(user=("amir",)))],
)
FILMS = Policy([rule("films", what=What(media_type=("video/*",))), allow()], time_zone=LONDON)
POLICY = Policy(
    [rule("games", who=Who(group=("pupils",)), what=What(category=("games",)), when=(LESSONS,)), allow()],
    time_zone=LONDON,
)
GAME = "http://www.miniclip.com/"
EVENING = local("2026-11-23T18:00")


def case(url=GAME, expect="block", **more):
    """A test of the policy."""
    return Case(url, expect, place=Place("policy.yaml", 40, 5), **{"user": "amir", "at": MONDAY, **more})


def failures(*cases, now=EVENING, policy=POLICY):
    """What is said about those that fail."""
    return [str(failure) for failure in run_cases(policy, SURROUNDINGS, cases, now)]


@tabular
class CaseTests(SynchronousTestCase):
    """What must come out, and what is said when it does not."""

    @rows(
        block=(case(),),
        block_by_rule=(case(rule="games"),),
        allow_later=(case(expect="allow", at=EVENING, rule="everything else"),),
        another_site=(case("http://bbc.co.uk/", "allow"),),
        tunnel=(case("https://www.miniclip.com/x"),),
        safety=(case("example.com:22", method="CONNECT", rule="safety: connect_ports"),),
        challenge=(case(expect="challenge", user=""),),
        room=(case(expect="allow", user="", client="10.1.4.9"),),
        groups=(case(expect="allow", groups=("staff",)),),
        any_time=(case("http://bbc.co.uk/", "allow", at=None),),
    )
    def test_passes(self, good):
        """A case that comes out as expected says nothing."""
        self.assertEqual(failures(good), [])

    @rows(
        effect=(
            case(expect="allow"),
            "policy.yaml:40:5: expected allow, got block by 'games': category games; group pupils; "
            "during lessons, for amir asking GET www.miniclip.com:80 at Mon 2026-11-23 10:00",
        ),
        rule=(
            case("http://bbc.co.uk/", "allow", rule="news"),
            "policy.yaml:40:5: expected allow by 'news', got allow by 'everything else': it is for every "
            "exchange, for amir asking GET bbc.co.uk:80 at Mon 2026-11-23 10:00",
        ),
        challenge=(
            case(user=""),
            "policy.yaml:40:5: expected block, got challenge: the proxy asks to sign in first; give the test "
            "a user, for nobody asking GET www.miniclip.com:80 at Mon 2026-11-23 10:00",
        ),
        url=(
            case("www.miniclip.com"),
            "policy.yaml:40:5: 'www.miniclip.com' is no URL that a proxy serves; "
            "write http:// or https:// and a host",
        ),
        depends_on_time=(
            case(expect="allow", at=None),
            "policy.yaml:40:5: expected allow, got block by 'games': category games; group pupils; "
            "during lessons, for amir asking GET www.miniclip.com:80 at Tue 2026-11-24 08:30",
        ),
    )
    def test_fails(self, bad, said):
        """A case that fails says what was expected, what came and why, at its place."""
        self.assertEqual(failures(bad), [said])

    @rows(
        both=(case(expect="allow", would_block="mini", exception="club"), ""),
        neither=(case("http://bbc.co.uk/", "allow", would_block="", exception=""), ""),
        other_rule=(
            case(expect="allow", would_block="games", exception="club"),
            "expected the refusal in shadow 'games', got 'mini'",
        ),
        unwanted=(case(expect="allow", exception="", at=EVENING), "expected no exception, got 'club'"),
        missing=(case(user="carol", exception="club"), "expected the exception 'club', got none"),
    )
    def test_beside(self, tried, said):
        """A test may ask what a rule in shadow would have refused, and which exception let it through."""
        found = failures(tried, policy=STAGED)
        self.assertEqual(len(found), bool(said))
        self.assertIn(said, "".join(found))

    def test_exceptions_begin(self):
        """An exception that does not say when it begins does not change a test of last month."""
        past, now, later = EVENING - 86_400, EVENING, EVENING + 86_400
        dated = [case(at=at) for at in (past, now, later)]
        found = run_cases(STAGED, SURROUNDINGS, [*dated, case(at=None)], now)
        self.assertEqual([failure.case.at for failure in found], [now, later, None])
        self.assertIn("exception 'club' goes past 'games'", found[0].message)

    def test_exception_named(self):
        """A test that names the exception is about it, whenever it is."""
        for at in (EVENING - 86_400, EVENING, None):
            self.assertEqual(failures(case(expect="allow", exception="club", at=at), policy=STAGED), [])

    def test_no_rule(self):
        """Where no rule matches the sentence says so."""
        said = failures(case(expect="allow"), policy=Policy([], time_zone=LONDON))
        self.assertIn("expected allow, got block by no rule: no rule matches", said[0])

    def test_order(self):
        """Failures come in the order of the cases."""
        found = run_cases(
            POLICY, SURROUNDINGS, [case(expect="warn"), case(), case(expect="redirect")], EVENING
        )
        self.assertEqual([failure.case.expect for failure in found], ["warn", "redirect"])

    def test_answer(self):
        """A case may tell what the server answers; without that it is about the request alone."""
        film, page = Answer("video/mp4", 5), Answer("text/html")
        cases = [
            Case(url, expect, user="amir", answer=answer)
            for url, expect, answer in (
                ("http://films.example/", "block", film),
                ("http://films.example/", "allow", page),
                ("http://films.example/", "allow", None),
                ("https://films.example/", "block", film),
            )
        ]
        failed = run_cases(FILMS, SURROUNDINGS, cases, MONDAY)
        self.assertEqual([one.case for one in failed], [cases[3]])
