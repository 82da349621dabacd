"""The last days of a person on their own page: a plot of what moved, and the same as a table."""

from __future__ import annotations

import json
import re

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.last_days import LAST_DAYS, DayUse
from corpproxy.identity.model import ANONYMOUS
from corpproxy.pages.page import Page
from corpproxy.pages.plot import Bar, in_octets, plot
from corpproxy.pages.portal import ReadDays
from tests.pages.samples import DAYS, holding_portal, request
from tests.support.rows import rows, tabular


class PageTests(SynchronousTestCase):
    """The start page."""

    def page(self, days, **more):
        return holding_portal().start(request(**more), days).content.decode()

    def test_read(self):
        """It asks what the person moved before it shows anything; of nobody's device it does not."""
        portal = holding_portal()
        self.assertEqual(portal.answer(request()), ReadDays("amir"))
        self.assertIsInstance(portal.answer(request(identity=ANONYMOUS)), Page)

    def test_plot(self):
        """A bar for each day on which something moved, in two parts, for a wide page and for a telephone."""
        html = self.page(DAYS)
        self.assertEqual(html.count('<svg class="plot '), 2)
        moved = sum(1 for day in DAYS if day.octets)
        self.assertEqual(html.count('<rect class="bar"'), 2 * moved)
        self.assertEqual(html.count('<rect class="part"'), 2 * moved)
        self.assertNotIn("<script", html)
        self.assertIsNone(re.search(r"<(svg|rect|line|text)[^>]* (style|fill|on\w+)=", html))

    def test_told(self):
        """Whoever does not see the plot is told what it shows, and finds its numbers in a table."""
        html = self.page(DAYS)
        self.assertIn('role="img" aria-label="Download and upload, day by day', html)
        self.assertIn('<th scope="row">Mon 23 November</th><td class="n">266 MiB</td>', html)
        self.assertEqual(html.count('<th scope="row">'), LAST_DAYS)

    def test_text(self):
        """On a command line it is a line for each day, the last one first."""
        text = self.page(DAYS, accept=b"text/plain")
        self.assertIn("Sun 22 November: Download: 431 MiB, Upload: 108 MiB, Together: 539 MiB\n", text)
        self.assertLess(text.index("Mon 23 November"), text.index("Tue 10 November"))

    def test_json(self):
        """A program gets numbers of octets."""
        page = json.loads(self.page(DAYS, accept=b"application/json"))
        (days,) = [part["days"] for part in page["sections"] if "days" in part]
        self.assertEqual(days[0], {"day": "2026-11-23", "to_you": 266 << 20, "from_you": 266 << 18})

    def test_nothing(self):
        """Who moved nothing in all these days sees no plot of nothing."""
        self.assertNotIn("Your last days", self.page([DayUse("2026-11-23", 0, 0)]))

    def test_unread(self):
        """While it cannot be read what was moved, the page says so, and shows all else."""
        html = self.page(None)
        self.assertIn("They cannot be read just now", html)
        self.assertIn("Your last refusals", html)


@tabular
class ScaleTests(SynchronousTestCase):
    """The numbers at the side of a plot of octets."""

    @rows(
        nothing=(0, ["0", "1 B", "2 B", "3 B", "4 B"]),
        some=(900, ["0", "250 B", "500 B", "750 B", "1000 B"]),
        mebibytes=(700 << 20, ["0", "200 MiB", "400 MiB", "600 MiB", "800 MiB"]),
        gibibytes=((1 << 30) + 1, ["0", "0.3 GiB", "0.6 GiB", "0.9 GiB", "1.2 GiB"]),
        tebibytes=(75 << 40, ["0", "20 TiB", "40 TiB", "60 TiB", "80 TiB"]),
    )
    def test_numbers(self, highest, numbers):
        """They are round, all in one unit, and the highest bar fits below the last."""
        drawn = plot([Bar("Mon 23", highest, 0, 0)], 600, 200, in_octets)
        self.assertEqual([text.text for text in drawn.texts[:5]], numbers)
        self.assertTrue(all(shape.y >= 0 for shape in drawn.shapes))
