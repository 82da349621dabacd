"""Pages written from what is remembered of pages like them are the pages that the template writes."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.pages import stencil
from corpproxy.pages.sheet import Fact, Form, Link, Section, Sheet, Tone
from corpproxy.pages.stencil import Stencils
from tests.pages.samples import pages

SCHOOL = pages()
TEXT = st.text(max_size=30) | st.sampled_from(["", "<b>", '"', "'", "&amp;", "{{ 1 }}", "mark-0-", "0", "-"])
SHEET = Sheet(
    status=403,
    kind="blocked",
    tone=Tone.STOP,
    title="a.example is blocked",
    lead=("It is <blocked>.",),
    quote="Ask & you may",
    facts=(Fact("uri", "Address", "http://a.example/"), Fact("reference", "Reference", "r1", exact=True)),
    links=(Link("why", "http://proxy.internal/why/r1", "Why?"),),
    small=(Fact("rule", "Rule", "games"),),
    ask="Whom to ask",
)


def like(sheet, title, values, uri):
    """A sheet that differs from another in its values alone."""
    one, two, three = values
    return replace(
        sheet,
        title=title,
        facts=(replace(sheet.facts[0], value=one), replace(sheet.facts[1], value=two)),
        small=(replace(sheet.small[0], value=three),),
        links=(replace(sheet.links[0], uri=uri),),
    )


class StencilTests(SynchronousTestCase):
    """One memory, and the template beside it."""

    def setUp(self):
        self.rendered: list[Sheet] = []
        self.stencils = Stencils(self.render)

    def render(self, sheet, mail):
        self.rendered.append(sheet)
        return SCHOOL._rendered("en", sheet, mail)

    def expect_same(self, sheet, mail=""):
        """The page is the one of the template, whatever came before."""
        self.assertEqual(self.stencils.write(sheet, mail), SCHOOL._rendered("en", sheet, mail))

    @given(TEXT, st.tuples(TEXT, TEXT, TEXT), TEXT, TEXT)
    @settings(deadline=None, max_examples=40)
    def test_made_up(self, title, values, uri, mail):
        """Any values, behind any others."""
        for _ in range(2):
            self.expect_same(SHEET, "mailto:it@hillside.example")
            self.expect_same(like(SHEET, title, values, uri), mail)

    def test_once(self):
        """The template is asked once for all that are alike, with none of their values."""
        for number in range(5):
            values = (f"http://{number}.example/", f"r{number}", "games")
            self.expect_same(like(SHEET, f"{number}.example is blocked", values, f"/why/r{number}"))
        self.assertEqual(len(self.rendered), 1)
        self.assertNotIn("0.example", str(self.rendered[0]))

    def test_others(self):
        """What says anything else has a page of its own."""
        others = (
            SHEET,
            replace(SHEET, tone=Tone.WARN),
            replace(SHEET, lead=()),
            replace(SHEET, quote=""),
            replace(SHEET, ask=""),
            replace(SHEET, facts=()),
            replace(SHEET, small=(), facts=SHEET.facts + SHEET.small),
            replace(SHEET, facts=SHEET.facts[::-1]),
            replace(SHEET, links=()),
            replace(SHEET, links=(replace(SHEET.links[0], text="What for?"),)),
        )
        for sheet in others * 2:
            self.expect_same(sheet)
            self.expect_same(sheet, "mailto:it@hillside.example")

    def test_forms(self):
        """A page with a form or a section is rendered each time: what stands there is sealed."""
        form = Form("/ask", "Ask", hidden=(("token", "t"),))
        for sheet in (replace(SHEET, form=form), replace(SHEET, sections=(Section("More", form=form),))):
            for _ in range(2):
                self.expect_same(sheet)
        self.assertEqual(len(self.rendered), 4)

    def test_bounded(self):
        """Made-up sentences do not fill memory."""
        self.patch(stencil, "MAX_STENCILS", 3)
        for number in range(10):
            self.expect_same(replace(SHEET, quote=f"sentence {number}"))
        self.assertLessEqual(len(self.stencils._known), 3)
