"""A report as a page, as tables and as text, whatever stands in names."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.pages.plot import Bar, plot
from corpproxy.reports import words
from corpproxy.reports.figures import Counts, Rest, Row
from corpproxy.reports.page import as_page
from corpproxy.reports.tables import as_csv, as_json, as_text, tables
from tests.reports.samples import figures
from tests.support.rows import rows, tabular

ODD = "<script>alert(1)</script>\x1b[2J\u202e\" ' onload=x\n=cmd"


class Reader(HTMLParser):
    """Takes a page apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))

    def count(self, tag: str) -> int:
        """How many tags of a kind there are."""
        return sum(one == tag for one, _ in self.tags)


class PageTests(SynchronousTestCase):
    """The page."""

    def test_alone(self) -> None:
        """It asks for nothing from elsewhere, runs nothing, and has no style but its own."""
        page = as_page(figures())
        reader = Reader(page)
        self.assertEqual({"script", "link", "img", "iframe"} & {tag for tag, _ in reader.tags}, set())
        attributes = {name for _, named in reader.tags for name in named}
        self.assertEqual({name for name in attributes if name in ("style", "src", "href")}, set())
        self.assertEqual({name for name in attributes if name.startswith("on")}, set())

    def test_policy(self) -> None:
        """Its own policy lets its one style in by its hash, and nothing else."""
        page = as_page(figures())
        style = re.search("<style>(.*?)</style>", page, re.DOTALL)
        assert style is not None
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        content = next(named["content"] for tag, named in Reader(page).tags if "http-equiv" in named)
        self.assertIn("default-src 'none'", content)
        self.assertIn(f"style-src 'sha256-{digest}'", content)

    @settings(max_examples=30, deadline=None)
    @given(st.text(max_size=40))
    def test_any_name(self, name) -> None:
        """Whatever stands in a name, the page keeps its form."""
        plain, odd = Reader(as_page(figures())), Reader(as_page(figures(name)))
        self.assertEqual([tag for tag, _ in odd.tags], [tag for tag, _ in plain.tags])

    def test_odd_name(self) -> None:
        """Control characters and marks that turn text around are spelled out."""
        page = as_page(figures(ODD))
        self.assertNotIn("<script", page)
        self.assertFalse({"\x1b", "\u202e"} & set(page))

    def test_tables_beside_plots(self) -> None:
        """Each plot has a description, and its numbers stand in a table beside it."""
        page = as_page(figures())
        for tag, named in Reader(page).tags:
            if tag == "svg":
                self.assertTrue(named.get("aria-label") or named.get("aria-hidden") == "true")
        self.assertIn("The numbers of these plots", page)
        self.assertIn("Mon 23", page)
        self.assertIn("1,200", page)

    def test_whom(self) -> None:
        """A report of a group or of a person says so, and that of a person names no others."""
        self.assertIn("The group <b>year-7</b> alone", as_page(figures(group="year-7")))
        page = as_page(figures(user="beth"))
        self.assertIn("What <b>beth</b> asked for", page)
        self.assertNotIn('id="people"', page)

    def test_nothing(self) -> None:
        """A period without anything is a page, too."""
        nothing = dict.fromkeys(
            (
                "top_people",
                "top_groups",
                "top_hosts",
                "top_categories",
                "refusals",
                "harms",
                "limited",
                "slots",
            ),
            (),
        )
        page = as_page(figures(total=Counts(), total_before=Counts(), **nothing))
        self.assertIn("Nothing was refused.", page)
        self.assertIn("everybody left it at that", page)


class RestTests(SynchronousTestCase):
    """Those that a table does not name."""

    def setUp(self) -> None:
        counts = Counts(100, 5 << 20, 3)
        self.top = tuple(Row(f"person {number:02}", counts, counts) for number in range(20))
        self.made = figures(
            top_people=self.top, rests={"people": Rest(1980, Counts(70_000, 3 << 30, 9), Counts())}
        )

    def test_page(self) -> None:
        """The page has them together in the last row."""
        page = as_page(self.made)
        self.assertEqual(page.count('<tr class="rest">'), 1)
        self.assertRegex(page, r'<tr class="rest"><th scope="row">1,980 others</th><td class="n">70,000</td>')

    def test_text(self) -> None:
        """A terminal shows ten rows, and the others of the twenty are among those together."""
        (line,) = [line for line in as_text(self.made).splitlines() if "others" in line]
        self.assertEqual(line.split(), ["(1,990", "others)", "71,000", "1,000", "3.0", "GiB", "39"])

    def test_csv(self) -> None:
        """So has a table for a spreadsheet, behind its rows."""
        (row,) = [row for row in csv.reader(io.StringIO(as_csv(self.made))) if row and "others" in row[0]]
        self.assertEqual(row, ["(1,980 others)", "70000", "0", str(3 << 30), "9", ""])

    def test_json(self) -> None:
        """A program finds them beside the tables."""
        others = json.loads(as_json(self.made))["others"]
        self.assertEqual(set(others), {"people"})
        self.assertEqual((others["people"]["names"], others["people"]["exchanges"]), (1980, 70_000))

    def test_none(self) -> None:
        """A table that names all has no such row."""
        self.assertNotIn("others", as_text(figures()) + as_page(figures()) + as_csv(figures()))


class TableTests(SynchronousTestCase):
    """The same as tables."""

    @settings(max_examples=50, deadline=None)
    @given(st.text(max_size=40))
    def test_csv(self, name) -> None:
        """Each row stays one row, and no cell is a formula or speaks to a terminal."""
        read = list(csv.reader(io.StringIO(as_csv(figures(name)))))
        self.assertEqual(len(read), len(list(csv.reader(io.StringIO(as_csv(figures()))))))
        for row in read:
            for cell in row:
                self.assertTrue(cell.isprintable())
                self.assertFalse(cell.startswith(("=", "+", "@", "-")))

    def test_json(self) -> None:
        """Programs get all tables, with names as they are."""
        document = json.loads(as_json(figures(ODD)))
        self.assertEqual(document["period"], "2026-W48")
        self.assertEqual(document["tables"]["overblocking"][0]["host"], ODD)
        self.assertEqual(set(document["tables"]), {table.name for table in tables(figures())})

    def test_text(self) -> None:
        """A terminal gets what it can show."""
        text = as_text(figures(ODD))
        self.assertNotIn("\x1b", text)
        self.assertIn("Blocked by mistake?", text)
        self.assertIn("5.0 MiB", as_text(figures()))


@tabular
class WordTests(SynchronousTestCase):
    """Numbers in words."""

    @rows(
        more=(150, 100, "+50 %"),
        less=(50, 100, "−50 %"),
        same=(100, 100, "the same"),
        nearly=(1001, 1000, "the same"),
        half=(398, 400, "the same"),
        new=(5, 0, "new"),
        nothing=(0, 0, "–"),
        many=(5000, 100, "50 times"),
    )
    def test_change(self, now, before, written) -> None:
        """What became of a number."""
        self.assertEqual(words.change(now, before), written)

    @rows(none=(0, 10, "0 %"), few=(1, 1000, "0.1 %"), many=(50, 100, "50 %"), of_nothing=(0, 0, "–"))
    def test_share(self, part, whole, written) -> None:
        """A part of a whole."""
        self.assertEqual(words.share(part, whole), written)

    @rows(
        nobody=("", "(not signed in)", "(not signed in)"),
        others=("*", "-", "(other hosts)"),
        odd=("a\nb", "-", "a\\nb"),
    )
    def test_shown(self, name, nameless, written) -> None:
        """A name, or what stands in its place."""
        self.assertEqual(words.shown(name, nameless), written)


class PlotTests(SynchronousTestCase):
    """Bars."""

    def test_heights(self) -> None:
        """Bars are as high as their numbers, with the refused part at the bottom and a mark for before."""
        drawn = plot([Bar("a", 100, 25, 50), Bar("b", 50, 0, 0)], 200, 140)
        heights = [round(shape.height) for shape in drawn.shapes if shape.kind in ("bar", "part")]
        self.assertEqual(heights, [75, 25, 50, 0])
        self.assertEqual(sum(shape.kind == "before" for shape in drawn.shapes), 1)

    def test_names(self) -> None:
        """As many names are written as there is room for."""
        drawn = plot([Bar(f"{hour:02d}:00", 1, 0, 0) for hour in range(24)], 360, 140)
        names = [text.text for text in drawn.texts if ":" in text.text]
        self.assertLess(len(names), 9)
        self.assertIn("00:00", names)

    def test_empty(self) -> None:
        """Nothing has a plot, too, and lines with whole numbers."""
        numbers = [text.text for text in plot([Bar("a", 0, 0, 0)], 200, 140).texts]
        self.assertEqual(numbers, ["0", "1", "2", "3", "4", "a"])
