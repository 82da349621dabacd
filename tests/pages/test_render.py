"""The pages themselves: what stands on them, what their heads say, and that nothing breaks out of them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.model import Destination, Host
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.pages.confirm import open_warning
from corpproxy.pages.negotiate import LANGUAGES, Audience, Media
from corpproxy.pages.occasion import Occasion
from corpproxy.pages.packaged import packaged
from corpproxy.pages.render import Pages
from corpproxy.pages.shown import MAX_SENTENCE, sentence, shown
from corpproxy.pages.site import MAX_LOGO_OCTETS, Contact, Logo
from corpproxy.policy.model import Effect
from tests.pages.html import Look
from tests.pages.samples import AMIR, ANNA, NOW, SIGNER, SITE, decision, every_page, occasion, pages
from tests.support.rows import rows, tabular

HTML = Audience("en", Media.HTML)
TEXT = Audience("en", Media.TEXT)
JSON = Audience("en", Media.JSON)
SCHOOL = pages()
EXAMPLES = [example for language in LANGUAGES for example in every_page(language)]

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "end_of_style": "</style></head><body onload=alert(1)>",
    "quotes": '"\' onmouseover="alert(1)" x=\'',
    "entity": "&lt;img src=x onerror=alert(1)&gt;",
    "template": "{{ 7 * 7 }}{% raw %}{0}{host}",
    "comment": "--><!-- ]]>",
    "line_breaks": "a\r\nSet-Cookie: x=1\r\n\r\n<p>",
    "nul": "a\0b",
    "right_to_left": "\u202egnp.exe\u202c \u2066\u200f",
    "half_character": "\ud800x",
    "ten_thousand": "x" * 10_000,
    "ten_thousand_angles": "<" * 10_000,
    "scheme": "javascript:alert(1)",
    "empty": "",
}


def hostile_pages(text):
    """Every page of a decision, with the same text wherever a stranger or an administrator puts one."""
    name = text[:255]  # hosts, user names and names of rules have bounds elsewhere
    destination = Destination(Host(name), 80, "http", f"/{text}")
    of = Occasion(text, NOW, text, Identity(name), destination, text)
    for effect in (Effect.BLOCK, Effect.WARN):
        yield SCHOOL.refused(decision(effect, text, text, name), of, HTML)
    yield SCHOOL.failure(text, of, HTML, detail=text)
    yield SCHOOL.challenge(text, of, HTML, (b"Basic",))


class MadeTests(SynchronousTestCase):
    """What belongs to the program, and not to a site."""

    def test_once(self):
        """Words, style and template are read for the first policy; for the next one they are there."""
        read = []

        def load(name):
            read.append(name)
            return packaged(name)

        Pages(SITE, SIGNER.seal, load)
        self.assertIn("style/page.css", read)
        of_the_first = len(read)
        Pages(SITE, SIGNER.seal, load)
        self.assertEqual(len(read), of_the_first)


@tabular
class EscapingTests(SynchronousTestCase):
    """Whatever stands in a host, a name, a sentence or a reference is text on the page, and nothing else."""

    @rows(**{row: (text,) for row, text in HOSTILE.items()})
    def test_hostile(self, text):
        """A hostile string changes no element of a page, adds no address but its own, and stays short."""
        plain = [Look(page.content.decode()).tags for page in hostile_pages("harmless" if text else "")]
        for page, expected in zip(hostile_pages(text), plain, strict=True):
            look = Look(page.content.decode())
            self.assertEqual(look.tags, expected)
            self.assertLess(len(page.content), 60_000)
            for address in look.addresses:
                self.assertRegex(
                    address, r"^(http://proxy\.internal/|mailto:it@hillside\.example\?|tel:|data:)"
                )

    @given(st.text(st.characters(), min_size=1, max_size=60).filter(str.strip))
    @settings(max_examples=60, deadline=None)
    def test_any_text(self, text):
        """Any string gives the same elements, in HTML that closes what it opens, in text and in JSON."""
        expected = [Look(page.content.decode()).tags for page in hostile_pages("harmless")]
        self.assertEqual([Look(page.content.decode()).tags for page in hostile_pages(text)], expected)
        of = occasion(host=text, path=f"/{text}", identity=Identity(text), reference=text)
        for audience in (TEXT, JSON):
            page = SCHOOL.refused(decision(say=text, category=text, rule=text), of, audience)
            page.content.decode()
            if audience is JSON:
                self.assertEqual(json.loads(page.content)["kind"], "blocked")
            else:
                self.assertEqual(page.content.count(b"\n"), self._text_lines)

    _text_lines = SCHOOL.refused(decision(), occasion(), TEXT).content.count(b"\n")

    def test_direction(self):
        """A name cannot turn the direction of writing to look like another."""
        self.assertEqual(shown("a\u202egnp.exe"), "a\ufffdgnp.exe")

    def test_long(self):
        """Of what is too long, beginning and end are shown: the end of a host says whose it is."""
        self.assertEqual(shown("a" * 100 + ".example", 20), "aaaaaaaaaaaaaa…ample")
        self.assertEqual(len(sentence("word " * 10_000)), MAX_SENTENCE)

    def test_sentence_in_another_script(self):
        """A sentence in Hebrew is shown as it was written, in its own direction."""
        page = SCHOOL.refused(decision(say="האתר חסום"), occasion(), HTML).content.decode()
        self.assertIn('<blockquote dir="auto">האתר חסום</blockquote>', page)

    def test_redirect(self):
        """A redirect carries no line break into the head."""
        to = "https://search.example/\r\nSet-Cookie: a=b?ü="
        page = SCHOOL.refused(decision(Effect.REDIRECT, location=to), occasion(), HTML)
        self.assertEqual(page.status, 302)
        expected = b"https://search.example/%0D%0ASet-Cookie:%20a=b?%C3%BC="
        self.assertEqual(page.field(b"Location"), expected)


@tabular
class HeadTests(SynchronousTestCase):
    """What every page says in its head, and needs from elsewhere: nothing."""

    @rows(**{f"{number}_{name}".replace("-", "_"): (page,) for number, (name, page) in enumerate(EXAMPLES)})
    def test_every_page(self, page):
        """No page is kept by a cache, runs a script, loads anything, or tells another site where it was."""
        self.assertEqual(page.field(b"content-type"), b"text/html; charset=utf-8")
        self.assertEqual(page.field(b"Cache-Control"), b"no-store")
        self.assertEqual(page.field(b"Vary"), b"Accept, Accept-Language")
        self.assertEqual(page.field(b"X-Content-Type-Options"), b"nosniff")
        self.assertEqual(page.field(b"Referrer-Policy"), b"no-referrer")
        html = page.content.decode()
        language = re.search(r'<html lang="(..)">', html)
        self.assertEqual(page.field(b"Content-Language"), language[1].encode())
        style = re.search(r"<style>(.*)</style>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest())
        policy = page.field(b"Content-Security-Policy")
        self.assertIn(b"default-src 'none'; style-src 'sha256-" + digest + b"'; img-src data:;", policy)
        look = Look(html)
        self.assertEqual(b"frame-ancestors 'none'" in policy, "form" in look.tags)
        self.assertEqual(b"form-action 'none'" in policy, "form" not in look.tags)
        self.assertLess(len(page.content), 32_000)

    def test_style(self):
        """The style needs nothing from elsewhere, and knows the dark, telephones and paper."""
        style = packaged("style/page.css")
        self.assertNotRegex(style, r"url\(|@import|</")
        for wanted in ("prefers-color-scheme: dark", "max-width: 34rem", "@media print"):
            self.assertIn(wanted, style)

    def test_logo(self):
        """The logo stands inside the page."""
        (source,) = (a for a in Look(EXAMPLES[0][1].content.decode()).addresses if a.startswith("data:image"))
        self.assertEqual(source, SITE.logo.uri)

    @rows(
        gif=("image/gif", b"GIF89a", "image/png or image/svg"),
        large=("image/png", b"x" * (MAX_LOGO_OCTETS + 1), "save it smaller"),
    )
    def test_bad_logo(self, media_type, octets, told):
        """A logo that no page can carry is refused with words that say what to do."""
        with self.assertRaisesRegex(ValueError, told):
            Logo(media_type, octets)

    def test_packaged(self):
        """A file that is missing in the installation is named."""
        self.assertRaises((LookupError, OSError), packaged, "templates/no-such.html")


class BlockTests(SynchronousTestCase):
    """The block page, in its three forms."""

    def test_html(self):
        """It says what, which category, which sentence, who, when, the reference, and whom to ask."""
        page = SCHOOL.refused(decision(), occasion(), HTML)
        look = Look(page.content.decode())
        self.assertEqual(page.status, 403)
        for told in (
            "www.miniclip.com is blocked", "http://www.miniclip.com/games/8-ball-pool", "games",
            "Games open again after lessons.", "amir", "23 November 2026, 10:45", "0nk4x7a2k40001",
            "IT room 4", "it@hillside.example", "+44 1632 960 123", "Hillside School",
            "games wait until after lessons", "3fa9c1d200aa", "group pupils",
        ):  # fmt: skip
            self.assertIn(told, look.text)
        self.assertIn("http://proxy.internal/why/0nk4x7a2k40001", look.addresses)
        self.assertIn("tel:+441632960123", look.addresses)
        self.assertNotIn("from=start", look.text)

    def test_mail(self):
        """The mail to the contact has the reference in it, so that the administrator finds the record."""
        look = Look(SCHOOL.refused(decision(), occasion(), HTML).content.decode())
        (mail,) = (address for address in look.addresses if address.startswith("mailto:"))
        parts = urlsplit(mail)
        fields = parse_qs(parts.query)
        self.assertEqual(unquote(parts.path), "it@hillside.example")
        self.assertEqual(fields["subject"], ["www.miniclip.com is blocked"])
        self.assertIn("Reference: 0nk4x7a2k40001", fields["body"][0].splitlines())

    def test_text(self):
        """A program gets the same facts in a few lines."""
        page = SCHOOL.refused(decision(), occasion(), TEXT)
        self.assertEqual(page.field(b"Content-Type"), b"text/plain; charset=utf-8")
        lines = page.content.decode().splitlines()
        self.assertEqual(lines[0], "Hillside School: www.miniclip.com is blocked")
        self.assertIn("> Games open again after lessons.", lines)
        self.assertIn("Reference: 0nk4x7a2k40001", lines)

    def test_json(self):
        """A program that asks for JSON gets the facts under their names."""
        page = SCHOOL.refused(decision(), occasion(), JSON)
        value = json.loads(page.content)
        self.assertEqual(page.field(b"Content-Type"), b"application/json; charset=utf-8")
        told = {
            name: value[name] for name in ("kind", "status", "say", "category", "user", "reference", "rule")
        }
        self.assertEqual(
            told,
            {
                "kind": "blocked",
                "status": 403,
                "say": "Games open again after lessons.",
                "category": "games",
                "user": "amir",
                "reference": "0nk4x7a2k40001",
                "rule": "games wait until after lessons",
            },
        )
        self.assertEqual(value["links"], {"why": "http://proxy.internal/why/0nk4x7a2k40001"})

    def test_languages(self):
        """The page speaks the language of the browser, the rule its own."""
        page = SCHOOL.refused(decision(category="gambling"), occasion(), Audience("de", Media.HTML))
        text = Look(page.content.decode()).text
        for told in ("ist gesperrt", "Glücksspiel", "Games open again after lessons.", "23. November 2026"):
            self.assertIn(told, text)

    def test_anonymous(self):
        """Where nobody signed in the device is named."""
        text = SCHOOL.refused(decision(), occasion(identity=ANONYMOUS), TEXT).content.decode()
        self.assertIn("Device: 10.1.2.3", text)

    def test_nobody_to_ask(self):
        """A site without a contact names none, and no empty heading."""
        made = pages(replace(SITE, contact=Contact(), logo=None))
        html = made.refused(decision(), occasion(), HTML).content.decode()
        self.assertNotIn("mailto:", html)
        self.assertNotIn("<img", html)
        self.assertNotIn("need it for your work", html)

    def test_tunnel(self):
        """Of a tunnel host and port are shown."""
        text = SCHOOL.refused(decision(), occasion("a.example", ""), TEXT).content.decode()
        self.assertIn("Address: a.example:443", text)


class WarnTests(SynchronousTestCase):
    """The warn page."""

    warn = decision(Effect.WARN, "Gambling costs money.", "gambling", "gambling with a warning", "", 1800)

    def test_form(self):
        """Its form opens again as the warning that was shown, for this person alone."""
        page = SCHOOL.refused(self.warn, occasion("www.poker.example", "/tables?a=b", ANNA), HTML)
        self.assertEqual(page.status, 403)
        look = Look(page.content.decode())
        self.assertIn("http://proxy.internal/confirm", look.addresses)
        self.assertIn("30 minutes", look.text)
        warning = open_warning(getattr(SIGNER, "open"), look.hidden["token"], ANNA, "10.1.2.3", NOW)  # noqa: B009
        self.assertEqual(
            (warning.who, warning.host, warning.rule, warning.seconds, warning.uri),
            (
                "anna",
                "www.poker.example",
                "gambling with a warning",
                1800,
                "http://www.poker.example/tables?a=b",
            ),
        )

    def test_json(self):
        """A program that may confirm finds the form's fields."""
        value = json.loads(SCHOOL.refused(self.warn, occasion(identity=ANNA), JSON).content)
        self.assertEqual(value["form"]["action"], "http://proxy.internal/confirm")
        self.assertEqual(list(value["form"]["fields"]), ["token"])

    def test_without_destination(self):
        """A warning about nothing known is a refusal without a form."""
        page = SCHOOL.refused(self.warn, Occasion("r", NOW), HTML)
        self.assertNotIn("form", Look(page.content.decode()).tags)


@tabular
class ChallengeTests(SynchronousTestCase):
    """What shows to who closes the box for name and password."""

    @rows(proxy=(407, b"Proxy-Authenticate"), server=(401, b"WWW-Authenticate"))
    def test_status(self, status, field):
        """A proxy asks by 407, a server by 401, each with its own field, once a challenge."""
        challenges = (b'Basic realm="Hillside", charset="UTF-8"', b"Negotiate")
        page = SCHOOL.challenge("credentials-missing", occasion(), HTML, challenges, status=status)
        self.assertEqual(page.status, status)
        self.assertEqual(tuple(value for name, value in page.fields if name == field), challenges)

    @rows(
        missing=("credentials-missing", "after signing in"),
        wrong=("credentials-wrong", "was not right"),
    )
    def test_words(self, code, told):
        """Who sent no password reads something else than who sent a wrong one."""
        text = SCHOOL.challenge(code, occasion(), TEXT, ()).content.decode()
        self.assertIn(told, text)
        self.assertIn("Hillside", text)

    def test_nobody_named(self):
        """The page of a wrong password names nobody: whoever typed the name may not own it."""
        page = SCHOOL.challenge("credentials-wrong", occasion(identity=AMIR), TEXT, ())
        self.assertNotIn(b"amir", page.content)
