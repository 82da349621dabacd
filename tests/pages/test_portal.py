"""The portal: who sees what, which forms are taken, and the files that set up a device."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.pages.pac import compile_pac
from corpproxy.pages.page import Page
from corpproxy.pages.portal import ChangePassword, ConfirmWarning, PortalRequest
from tests.pages.html import Look
from tests.pages.samples import ANNA, NOW, SIGNER, TABLE, confirmation, past_refusals, portal, request
from tests.support.rows import rows, tabular

MINE = portal(past_refusals(), pac_uri="http://proxy.hillside.example:8080/proxy.pac")
FORM = b"application/x-www-form-urlencoded"


def look(page):
    """A page as a browser sees it."""
    return Look(page.content.decode())


def post(path, fields, **more):
    """A form that Amir's browser sends."""
    return request(path, "POST", content=urlencode(fields).encode(), content_type=FORM, **more)


def value(page):
    """A page as JSON."""
    return json.loads(page.content)


@tabular
class RouteTests(SynchronousTestCase):
    """Which path answers whom."""

    @rows(
        start=("GET", "/", True, 200),
        start_unknown=("GET", "/", False, 200),
        head=("HEAD", "/", True, 200),
        start_post=("POST", "/", True, 405),
        setup=("GET", "/setup", True, 200),
        setup_unknown=("GET", "/setup", False, 200),
        pac=("GET", "/proxy.pac", True, 200),
        pac_unknown=("GET", "/proxy.pac", False, 200),
        wpad=("GET", "/wpad.dat", False, 200),
        wpad_head=("HEAD", "/wpad.dat", False, 200),
        wpad_post=("POST", "/wpad.dat", False, 405),
        why=("GET", "/why/0nk4x7a2k40009", True, 200),
        why_unknown=("GET", "/why/0nk4x7a2k40009", False, 403),
        why_nothing=("GET", "/why/", True, 404),
        why_other=("GET", "/why/zzz", True, 404),
        why_post=("POST", "/why/zzz", True, 405),
        password=("GET", "/password", True, 200),
        password_unknown=("GET", "/password", False, 403),
        password_post_unknown=("POST", "/password", False, 403),
        confirm_get=("GET", "/confirm", True, 405),
        confirm_unknown=("POST", "/confirm", False, 403),
        delete=("DELETE", "/", True, 405),
        lost=("GET", "/favicon.ico", True, 404),
        lost_unknown=("GET", "/favicon.ico", False, 404),
        dots=("GET", "/../", True, 404),
        no_slash=("GET", "", True, 404),
        asterisk=("OPTIONS", "*", True, 404),
    )
    def test_route(self, method, path, via_proxy, status):
        """A path answers with its status: personal pages only where the person is known."""
        self.assertEqual(MINE.answer(request(path, method, via_proxy=via_proxy)).status, status)

    @rows(
        start=("/", b"GET, HEAD"), confirm=("/confirm", b"POST"), password=("/password", b"GET, HEAD, POST")
    )
    def test_allow(self, path, allowed):
        """A method that a page has not is told which it has."""
        self.assertEqual(MINE.answer(request(path, "PUT")).field(b"Allow"), allowed)

    @given(st.text(max_size=30), st.text(max_size=8), st.binary(max_size=60), st.booleans())
    @settings(max_examples=80, deadline=None)
    def test_anything(self, path, method, content, via_proxy):
        """Any request gives a page: well formed, and never one of the server's faults."""
        for wanted in (path, "/" + path, "/confirm", "/password", f"/why/{path}"):
            page = MINE.answer(
                request(wanted, method, content=content, content_type=FORM, via_proxy=via_proxy)
            )
            self.assertLess(page.status, 500)
            if page.field(b"Content-Type").startswith(b"text/html"):
                look(page)


class StartTests(SynchronousTestCase):
    """The start page, where a person finds what the browser did not show."""

    def test_refusals(self):
        """It shows who is signed in, and each own refusal with host, time, sentence and reference."""
        text = look(MINE.answer(request())).text
        for told in (
            "You are signed in as amir.", "www.miniclip.com", "Games open again after lessons.",
            "7 times, last on 23 November 2026, 10:35", "0nk4x7a2k40006", "forum.chess.example",
            "Opens when you confirm", "23 November 2026, 10:44", "tracking",
        ):  # fmt: skip
            self.assertIn(told, text)

    def test_others(self):
        """Nobody sees the refusals of another."""
        text = look(MINE.answer(request(identity=ANNA))).text
        self.assertNotIn("miniclip", text)
        self.assertIn("Nothing was refused lately.", text)
        self.assertEqual(MINE.answer(request("/why/0nk4x7a2k40009", identity=ANNA)).status, 404)

    def test_anonymous(self):
        """Where nobody signs in the device is named, and there is no password to change."""
        page = look(MINE.answer(request(identity=ANONYMOUS)))
        self.assertIn("your device is 10.1.2.3", page.text)
        self.assertNotIn("http://proxy.internal/password", page.addresses)

    def test_json(self):
        """A program gets the refusals as a list."""
        entries = value(MINE.answer(request(accept=b"application/json")))["sections"][0]["entries"]
        self.assertEqual(entries[0]["title"], "forum.chess.example")
        self.assertEqual([entry["reference"] for entry in entries][1:], ["0nk4x7a2k40008", "0nk4x7a2k40006"])

    def test_listener(self):
        """On the portal's listener nobody is known: there is the setup, and the way to the own page."""
        answered = MINE.answer(request(via_proxy=False, identity=ANONYMOUS))
        page = look(answered)
        self.assertIn("http://proxy.hillside.example:8080/proxy.pac", page.text)
        self.assertIn("http://proxy.internal/", page.addresses)
        self.assertNotIn("miniclip", page.text)

    def test_pac_address(self):
        """Where no address of the PAC file is set, the one that the client used is named."""
        page = portal().answer(request("/setup", via_proxy=False, authority="proxy.hillside.example:8080"))
        self.assertIn("http://proxy.hillside.example:8080/proxy.pac", look(page).text)

    def test_setup(self):
        """Every system has its steps, each with the address to type."""
        page = look(MINE.answer(request("/setup")))
        for system in ("Windows", "macOS", "iPhone", "Android", "ChromeOS", "Linux", "Firefox"):
            self.assertIn(system, page.text)
        self.assertEqual(page.text.count("http://proxy.hillside.example:8080/proxy.pac"), 1 + 7)

    def test_why(self):
        """The page of one refusal has all there is to say, for the person and for the administrator."""
        text = look(MINE.answer(request("/why/0nk4x7a2k40003"))).text
        for told in (
            "Why www.miniclip.com was refused",
            "games wait until after lessons",
            "3fa9c1d200aa",
            "amir",
        ):
            self.assertIn(told, text)


@tabular
class ConfirmTests(SynchronousTestCase):
    """A warning is confirmed on the portal."""

    def action(self) -> ConfirmWarning:
        """Confirm the warning of the samples."""
        page = MINE.answer(request("/why/0nk4x7a2k40009", accept=b"application/json"))
        return confirmation(MINE, page)

    def test_grant(self):
        """The form gives the grant to put into force, and then the way on."""
        action = self.action()
        grant = action.grant
        self.assertEqual((grant.who, grant.host, grant.rule), ("amir", "forum.chess.example", "forums"))
        self.assertEqual(grant.until, NOW + 2700)
        page = MINE.confirmed(request("/confirm", "POST"), action)
        self.assertEqual((page.status, page.field(b"Location")), (303, b"https://forum.chess.example/"))
        self.assertIn("45 minutes", look(page).text)

    def test_start_page(self):
        """The start page has the form too."""
        page = look(MINE.answer(request()))
        action = MINE.answer(post("/confirm", {"token": page.hidden["token"]}))
        self.assertIsInstance(action, ConfirmWarning)

    @rows(
        forged=({"token": "abc.def"}, 403, "form-forged"),
        no_token=({}, 400, "form-invalid"),
        more=({"token": "x", "host": "y"}, 400, "form-invalid"),
        empty=({"token": ""}, 403, "form-forged"),
        non_ascii=({"token": "ü"}, 403, "form-forged"),
        long=({"token": "x" * 20_000}, 413, "form-too-large"),
    )
    def test_refused(self, fields, status, code):
        """What is not the form that was shown is refused by name."""
        page = MINE.answer(post("/confirm", fields, accept=b"application/json"))
        self.assertEqual((page.status, value(page)["code"]), (status, code))

    def test_somebody_else(self):
        """A form that was shown to Amir confirms nothing for Anna."""
        token = look(MINE.answer(request())).hidden["token"]
        page = MINE.answer(post("/confirm", {"token": token}, identity=ANNA, accept=b"application/json"))
        self.assertEqual((page.status, value(page)["code"]), (403, "form-forged"))

    def test_too_late(self):
        """A form that lay open for a day says so."""
        token = look(MINE.answer(request())).hidden["token"]
        page = MINE.answer(post("/confirm", {"token": token}, now=NOW + 86_400, accept=b"application/json"))
        self.assertEqual((page.status, value(page)["code"]), (403, "form-expired"))


@tabular
class PasswordTests(SynchronousTestCase):
    """A person changes the own password."""

    def fields(self, **more):
        """The form as Amir fills it in."""
        token = look(MINE.answer(request("/password"))).hidden["token"]
        return {"token": token, "old": "old one", "new": "näw & 1", "again": "näw & 1"} | more

    def test_change(self):
        """The form gives the change to perform, with the passwords exactly as they were typed."""
        action = MINE.answer(post("/password", self.fields()))
        self.assertEqual(action, ChangePassword("amir", "old one", "näw & 1"))

    @rows(
        mismatch=({"again": "other"}, "not the same"),
        empty=({"new": "", "again": ""}, "is empty"),
    )
    def test_try_again(self, more, told):
        """A slip is told beside the form, and no password stands on the page."""
        page = MINE.answer(post("/password", self.fields(**more)))
        self.assertEqual(page.status, 403)
        self.assertIn(told, look(page).text)
        self.assertIn("token", look(page).hidden)
        self.assertNotIn(b"old one", page.content)

    @rows(
        no_token=({"token": ""}, 403, "form-forged"),
        long=({"new": "x" * 300, "again": "x" * 300}, 400, "form-invalid"),
        long_old=({"old": "x" * 300}, 400, "form-invalid"),
    )
    def test_refused(self, more, status, code):
        """What is not the form that was shown is refused by name."""
        page = MINE.answer(post("/password", self.fields(**more), accept=b"application/json"))
        self.assertEqual((page.status, value(page)["code"]), (status, code))

    def test_somebody_else(self):
        """Nobody's browser can be tricked into a form that was made for another."""
        page = MINE.answer(post("/password", self.fields(), identity=ANNA, accept=b"application/json"))
        self.assertEqual(value(page)["code"], "form-forged")

    def test_warning_token(self):
        """The form of a warning changes no password."""
        token = SIGNER.seal("confirm-warning", {"who": "amir"}, NOW + 60)
        page = MINE.answer(post("/password", self.fields(token=token), accept=b"application/json"))
        self.assertEqual(value(page)["code"], "form-forged")

    @rows(network=(Identity("print-room", (), "network"),), nobody=(ANONYMOUS,))
    def test_no_password(self, identity):
        """Who signed in without a password has none to change."""
        for asked in (
            request("/password", identity=identity),
            post("/password", self.fields(), identity=identity),
        ):
            page = MINE.answer(asked)
            self.assertEqual(page.status, 403)
            self.assertNotIn("form", look(page).tags)

    def test_results(self):
        """The change, and its refusal with the reason, have their pages."""
        self.assertEqual(MINE.password_changed(request()).status, 200)
        refused = MINE.password_refused(request(), "The old password is wrong.")
        self.assertEqual(refused.status, 403)
        self.assertIn("The old password is wrong.", look(refused).text)


@tabular
class PacFileTests(SynchronousTestCase):
    """/proxy.pac and /wpad.dat."""

    def test_file(self):
        """Both are the compiled table, under the media type that browsers ask for, kept for an hour."""
        for path in ("/proxy.pac", "/wpad.dat"):
            page = MINE.answer(request(path, accept=b"*/*"))
            self.assertEqual(page.content, compile_pac(TABLE))
            self.assertEqual(page.field(b"Content-Type"), b"application/x-ns-proxy-autoconfig")
            self.assertEqual(page.field(b"Cache-Control"), b"max-age=3600")

    @rows(
        same=(lambda tag: tag, 304),
        weak=(lambda tag: b"W/" + tag, 304),
        several=(lambda tag: b'"a", ' + tag, 304),
        any=(lambda tag: b"*", 304),
        other=(lambda tag: b'"a"', 200),
        garbage=(lambda tag: b",,\xff", 200),
        empty=(lambda tag: b"", 200),
        absent=(lambda tag: None, 200),
    )
    def test_validation(self, sent, status):
        """A browser that has the file already is not sent it again."""
        tag = MINE.answer(request("/proxy.pac")).field(b"ETag")
        page = MINE.answer(request("/proxy.pac", if_none_match=sent(tag)))
        self.assertEqual((page.status, bool(page.content)), (status, status == 200))
        self.assertEqual(page.field(b"ETag"), tag)

    def test_bare_request(self):
        """The least of a request is enough."""
        page = MINE.answer(PortalRequest("GET", "/wpad.dat", NOW, "r"))
        self.assertIsInstance(page, Page)
