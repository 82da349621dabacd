"""The limits of a person on their own page: what holds, what is used, and why it is slow."""

from __future__ import annotations

from datetime import UTC

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.pages.holdings import Holding, holding
from corpproxy.pages.pac import compile_pac
from corpproxy.pages.portal import Portal, PortalRequest
from corpproxy.pages.refusals import Refusals
from corpproxy.policy.calendar import Hours, parse_spans
from corpproxy.policy.conditions import When
from corpproxy.policy.limits import Applied, Limit, Limits, Per
from corpproxy.policy.quota import Every, Quota, Standing, Standings, Then
from tests.pages.samples import SIGNER, TABLE, pages
from tests.support.builders import AMIR, MONDAY
from tests.support.rows import rows, tabular

MIB = 1 << 20
SLOW = Limit(
    "pupils' day", quota=Quota(1000 * MIB, then=Then.SLOW, download=MIB, upload=MIB), say="Until tomorrow."
)
BLOCK = Limit("films", quota=Quota(minutes=30, every=Every.DAY))
COUNTED = Limit("counted", quota=Quota(minutes=10, then=Then.RECORD))
RATE = Limit("each", download=2 * MIB, upload=MIB)


def page(*holdings: Holding, accept: bytes = b"text/plain") -> str:
    """The start page of somebody with these limits, as text or as a page."""
    portal = Portal(
        pages(), compile_pac(TABLE), Refusals(), SIGNER.seal, SIGNER.open, holdings=lambda *asked: holdings
    )
    asked = PortalRequest(
        "GET", "/", "0nk4x7a2k40001", MONDAY, AMIR, "10.1.2.3", "rooms", True, accept=accept
    )
    answer = portal.answer(asked)
    return answer.content.decode()


@tabular
class PageTests(SynchronousTestCase):
    """The start page."""

    @rows(
        rate=(Holding(Applied(RATE, "amir")), ("Your limits", "each", "Holds now", "2 MiB/s", "1 MiB/s")),
        unused=(Holding(Applied(BLOCK, "amir")), ("films", "0 min of 30 min", "30 min")),
        nearly=(
            Holding(Applied(BLOCK, "amir"), Standing(25, 30, MONDAY + 3600)),
            ("Nearly used up", "25 min of 30 min", "5 min"),
        ),
        slowed=(
            Holding(Applied(SLOW, "amir", is_spent=True), Standing(1000 * MIB, 1000 * MIB, MONDAY + 3600)),
            (
                "it goes on slower",
                "All 1000 MiB are used. What counts here goes at 1 MiB/s each way until 23 November 2026,",
                "1000 MiB of 1000 MiB",
                "Until tomorrow.",
            ),
        ),
        blocked=(
            Holding(Applied(BLOCK, "amir", is_spent=True), Standing(30, 30, MONDAY + 3600)),
            (
                "nothing more goes through",
                "30 min of 30 min",
                "All 30 min are used. Nothing more goes through",
            ),
        ),
        recorded=(
            Holding(Applied(COUNTED, "amir", is_spent=True), Standing(20, 10, MONDAY + 3600)),
            ("All 10 min are used; it goes on as before.",),
        ),
        unknown=(
            Holding(Applied(BLOCK, "amir", is_spent=True), Standing(0, 0, MONDAY + 60)),
            ("What is left cannot be told just now. It will be looked up again: 23 November 2026, 10:46.",),
        ),
        during=(
            Holding(Applied(RATE, "amir"), until=MONDAY + 3600),
            ("no faster than 2 MiB/s for downloads, 1 MiB/s for uploads, until 23 November 2026, 11:45.",),
        ),
        granted=(
            Holding(Applied(BLOCK, "amir"), Standing(31, 45, MONDAY + 3600)),
            ("31 min of 45 min", "Given to you on top: 15 min, until 23 November 2026, 11:45"),
        ),
        group=(
            Holding(Applied(Limit("class", per=Per.GROUP, upload=1 << 20), "9b")),
            ("no faster than 1 MiB/s for uploads", "Counted together: everybody in the group 9b"),
        ),
        site=(
            Holding(Applied(Limit("line", per=Per.SITE, download=1 << 20), "")),
            ("Counted together: everybody here",),
        ),
    )
    def test_told(self, holding, told):
        """What holds, how much is used and left, what it means just now and until when."""
        text = page(holding)
        for one in told:
            self.assertIn(one, text)

    @rows(
        unused=(Holding(Applied(BLOCK, "amir")), 'value="0"', "plain"),
        some=(Holding(Applied(BLOCK, "amir"), Standing(12, 30, MONDAY + 3600)), 'value="40"', "plain"),
        nearly=(Holding(Applied(BLOCK, "amir"), Standing(25, 30, MONDAY + 3600)), 'value="83"', "warn"),
        slowed=(
            Holding(Applied(SLOW, "amir", is_spent=True), Standing(2000 * MIB, 1000 * MIB, MONDAY + 3600)),
            'value="100"',
            "warn",
        ),
        blocked=(
            Holding(Applied(BLOCK, "amir", is_spent=True), Standing(30, 30, MONDAY + 3600)),
            'value="100"',
            "stop",
        ),
    )
    def test_bar(self, holding, value, tone):
        """A bar shows how much of a quota is used, in the tone of what it means."""
        shown = page(holding, accept=b"text/html")
        self.assertIn(f'<progress max="100" {value}', shown)
        self.assertIn(f'<div class="card {tone}">', shown)

    def test_unused(self):
        """Who has used nothing yet reads until when there is how much."""
        text = page(holding(Applied(BLOCK, "amir"), Standings(), MONDAY))
        for told in (
            "0 min of 30 min",
            "Counted since: 23 November 2026, 04:00",
            "New again: 24 November 2026, 04:00",
        ):
            self.assertIn(told, text)

    def test_no_bar(self):
        """A rate is not used up: it has none."""
        self.assertNotIn("<progress", page(Holding(Applied(RATE, "amir")), accept=b"text/html"))

    def test_without(self):
        """Who has no limits reads nothing of limits."""
        self.assertNotIn("Your limits", page())


@tabular
class UntilTests(SynchronousTestCase):
    """Until when a limit holds."""

    @rows(
        always=((), 0.0),
        lessons=(("09:00-12:00",), MONDAY + 75 * 60),
        the_later=(("09:00-11:00", "09:00-12:00"), MONDAY + 75 * 60),
        not_now=(("13:00-14:00", "09:00-12:00"), MONDAY + 75 * 60),
        all_day=(("00:00-24:00",), 0.0),
    )
    def test_hours(self, hours, ends):
        """Where hours say so, until the last of them that hold now are over; otherwise no end is told."""
        when = tuple(When(one, Hours(spans=parse_spans(one), time_zone=UTC)) for one in hours)
        self.assertEqual(Limit("line", when=when).holds_until(MONDAY), ends)


class OfTests(SynchronousTestCase):
    """Which limits are somebody's."""

    def test_whatever(self):
        """Those that are for the person, whatever they are for; a category's are nobody's own."""
        limits = Limits([RATE, BLOCK, Limit("category", per=Per.CATEGORY)], standings=Standings())
        found = limits.of(AMIR, "10.1.2.3", "rooms", MONDAY)
        self.assertEqual([(one.limit.name, one.whom) for one in found], [("each", "amir"), ("films", "amir")])
