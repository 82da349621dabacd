"""The portal: warnings are confirmed there, passwords changed, refusals found again."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlencode

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.deeds import DeedName
from corpproxy.audit.results import ResultCode
from corpproxy.errors import ClientGone, ProtocolError
from corpproxy.exchange.commands import (
    ChangePassword,
    GrantQuota,
    ReadContent,
    ReadDays,
    RecordDeed,
    SaveGrant,
    SaveRequest,
)
from corpproxy.exchange.exchange import Mode
from corpproxy.exchange.refusal import SignInUnavailable
from corpproxy.policy.limits import Limit, Limits
from corpproxy.policy.model import Effect
from corpproxy.policy.quota import Quota
from tests.pages.samples import BETH, DAYS, access, holding_portal, more_request
from tests.support.builders import (
    AMIR,
    BASIC,
    domain,
    exchange,
    in_force,
    request,
    request_head,
    response,
    rule,
)
from tests.support.rows import rows, tabular
from tests.support.script import Script
from tests.support.wires import Site

WARNED = rule("gambling with a warning", Effect.WARN, what=domain("bet.example"), warn_seconds=600)
FORM = b"Content-Type: application/x-www-form-urlencoded"
CREDENTIALS = b"Proxy-Authorization: " + BASIC


def ask(force, method=b"GET", target=b"http://proxy.internal/", *fields, mode=Mode.FORWARD, content=b""):
    """One exchange under what is in force, as its script."""
    host = None if b"://" in target or method == b"CONNECT" else b"wpad.hillside.example"
    head = request_head(
        method, target, CREDENTIALS, b"Accept: text/html", *fields, host=host, content=content
    )
    begun = exchange(head, mode, force=force)
    begun.content_over = True
    return Script(begun)


def token(page):
    """What the form on a page sends back."""
    return re.search(rb'name="token" value="([^"]+)"', page.content)[1].decode()


def signed_in(*rules):
    return in_force(*rules, sign_in=True, known={BASIC: AMIR})


def confirmed(case, outcome):
    """Confirm a warning over wires while the store answers so; the site must open all the same."""
    site = Site(WARNED, sign_in=True, known={BASIC: AMIR})
    asked = request(b"GET", b"http://bet.example/x", CREDENTIALS, b"Accept: text/html")
    page = site.client().asks(asked)
    found = re.search(rb'name="token" value="([^"]+)"', page)[1].decode()
    content = urlencode({"token": found}).encode()
    site.grants.outcome = outcome
    got = site.client().asks(
        request(b"POST", b"http://proxy.internal/confirm", CREDENTIALS, FORM, content=content)
    )
    case.assertTrue(got.startswith(b"HTTP/1.1 303 "), got[:100])
    case.assertIn(b"Location: http://bet.example/x\r\n", got)
    client = site.client()
    client.send(asked)
    site.server().send(response(content=b"bets"))
    case.assertTrue(client.take().endswith(b"bets"))
    case.assertEqual(
        [one.result for one in site.records], [ResultCode.WARNED, ResultCode.PORTAL, ResultCode.FORWARDED]
    )
    return site


class WarningTests(SynchronousTestCase):
    """A warning, its form, and the grant it makes."""

    def test_confirmed(self):
        """Warned, confirmed, let through: the whole way over wires."""
        site = confirmed(self, None)
        (grant,) = site.grants.saved
        self.assertEqual(
            (grant.who, grant.host, grant.rule), ("amir", "bet.example", "gambling with a warning")
        )

    def test_over_connect(self):
        """Who was warned over HTTPS, where browsers show nothing, confirms on the portal."""
        force = signed_in(WARNED)
        refused = ask(force, b"CONNECT", b"bet.example:443")
        refused.answers(403)
        self.assertEqual(refused.ends().result, ResultCode.WARNED)
        start = ask(force)
        start.asks(ReadContent).answer(b"")
        page = start.answers(200)
        self.assertIn(b"bet.example", page.content)
        content = urlencode({"token": token(page)}).encode()
        sent = ask(force, b"POST", b"http://proxy.internal/confirm", FORM, content=content)
        sent.asks(ReadContent).answer(content)
        sent.asks(SaveGrant).answer()
        page = sent.answers(303)
        self.assertEqual(page.field(b"Location"), b"https://bet.example/")

    def test_forged(self):
        """A form that was not made here confirms nothing."""
        content = b"token=forged.x"
        sent = ask(signed_in(WARNED), b"POST", b"http://proxy.internal/confirm", FORM, content=content)
        sent.asks(ReadContent).answer(content)
        sent.answers(403)
        self.assertEqual(sent.ends().result, ResultCode.PORTAL)

    def test_left(self):
        """A client that leaves while its grant is being kept."""
        force = signed_in(WARNED)
        warned = ask(force, target=b"http://bet.example/")
        content = urlencode({"token": token(warned.answers(403))}).encode()
        sent = ask(force, b"POST", b"http://proxy.internal/confirm", FORM, content=content)
        sent.asks(ReadContent).answer(content)
        sent.asks(SaveGrant).fail(ClientGone())
        self.assertEqual(sent.ends().result, ResultCode.CLIENT_GONE)


@tabular
class PasswordTests(SynchronousTestCase):
    """The own password is changed on the portal."""

    def change(self):
        force = signed_in()
        form = ask(force, b"GET", b"http://proxy.internal/password")
        form.asks(ReadContent).answer(b"")
        values = {"token": token(form.answers(200)), "old": "a", "new": "b" * 12, "again": "b" * 12}
        content = urlencode(values).encode()
        sent = ask(force, b"POST", b"http://proxy.internal/password", FORM, content=content)
        sent.asks(ReadContent).answer(content)
        return sent

    @rows(changed=("", 200), refused=("the old password is wrong", 403))
    def test_answered(self, reason, status):
        """Done, or why not."""
        sent = self.change()
        self.assertEqual(sent.asks(ChangePassword).answer(reason).name, "amir")
        sent.answers(status)
        self.assertEqual(sent.ends().result, ResultCode.PORTAL)

    def test_left(self):
        """A client that leaves while its password is being changed."""
        sent = self.change()
        sent.asks(ChangePassword).fail(ClientGone())
        self.assertEqual(sent.ends().result, ResultCode.CLIENT_GONE)

    def test_directory_down(self):
        """A directory that is away is no bug."""
        sent = self.change()
        sent.asks(ChangePassword).fail(SignInUnavailable("directory-down", "away"))
        sent.answers(503)
        self.assertEqual(
            (sent.ends().result, sent.exchange.failure), (ResultCode.UNAVAILABLE, "directory-down")
        )


class LastDaysTests(SynchronousTestCase):
    """The start page, for which is read what the person moved."""

    def start(self) -> Script:
        sent = ask(replace(signed_in(), portal=holding_portal()))
        sent.asks(ReadContent).answer(b"")
        return sent

    def test_read(self):
        """It is read first, and drawn."""
        sent = self.start()
        self.assertEqual(sent.asks(ReadDays).answer(DAYS).user, "amir")
        self.assertIn(b"Your last days", sent.answers(200).content)

    def test_left(self):
        """A client that leaves while it is being read."""
        sent = self.start()
        sent.asks(ReadDays).fail(ClientGone())
        self.assertEqual(sent.ends().result, ResultCode.CLIENT_GONE)


class MoreTests(SynchronousTestCase):
    """More of a quota is given on the portal."""

    def give(self) -> Script:
        limits = Limits([Limit("films", quota=Quota(minutes=30))])
        asked = more_request()
        made = holding_portal(access=replace(access(asked), limits_now=lambda: limits))
        force = replace(in_force(sign_in=True, known={BASIC: BETH}), portal=made)
        page = ask(force, target=f"http://proxy.internal/requests/{asked.id}".encode())
        page.asks(ReadContent).answer(b"")
        content = urlencode({"token": token(page.answers(200)), "amount": "15"}).encode()
        sent = ask(force, b"POST", b"http://proxy.internal/requests/more", FORM, content=content)
        sent.asks(ReadContent).answer(content)
        return sent

    def test_given(self):
        """It is given, then recorded, then kept as what became of the request."""
        sent = self.give()
        asked = sent.asks(GrantQuota).answer(True)
        self.assertEqual((asked.limit, asked.whom, asked.more), ("films", "amir", 15))
        self.assertEqual(sent.asks(RecordDeed).answer().deed.name, DeedName.QUOTA_GRANTED)
        self.assertEqual(sent.asks(SaveRequest).answer().request.by, "beth")
        sent.answers(200)

    def test_no_quota(self):
        """Where there is no such quota any more nothing is recorded as given."""
        sent = self.give()
        sent.asks(GrantQuota).answer(False)
        sent.answers(409)

    def test_left(self):
        """A client that leaves while it is being given."""
        sent = self.give()
        sent.asks(GrantQuota).fail(ClientGone())
        self.assertEqual(sent.ends().result, ResultCode.CLIENT_GONE)


@tabular
class PlaceTests(SynchronousTestCase):
    """Where the portal is answered."""

    def test_large_form(self):
        """A form that is too large is refused."""
        sent = ask(signed_in(), b"POST", b"http://proxy.internal/confirm", FORM, content=b"x")
        sent.asks(ReadContent).fail(ProtocolError("content-too-large", "too much", status=413))
        sent.answers(413)

    @rows(
        absolute=(b"http://proxy.internal/", None, ResultCode.PORTAL),
        origin=(b"/", b"proxy.internal", ResultCode.PORTAL),
        pac=(b"/proxy.pac", b"proxy.internal", ResultCode.PAC),
        wpad=(b"http://proxy.internal/wpad.dat", None, ResultCode.PAC),
    )
    def test_forward_port(self, target, host, result):
        """By its name, and no rule can shut anybody out."""
        force = in_force(rule("nothing at all", Effect.BLOCK))
        script = Script(exchange(request_head(target=target, host=host), force=force))
        script.asks(ReadContent).answer(b"")
        script.answers(200)
        ended = script.ends()
        self.assertEqual((ended.result, ended.decision.rule), (result, "portal"))

    def test_own_listener(self):
        """On its own listener by any name, and nobody is asked who they are."""
        script = ask(signed_in(), target=b"/proxy.pac", mode=Mode.PORTAL)
        script.asks(ReadContent).answer(b"")
        script.answers(200)
        self.assertEqual(script.ends().result, ResultCode.PAC)

    def test_connect_to_own_listener(self):
        """It opens no tunnels."""
        script = ask(signed_in(), b"CONNECT", b"www.example.com:443", mode=Mode.PORTAL)
        script.answers(405)

    def test_not_a_proxy_request(self):
        """A request in origin form to the forward port is told what this is."""
        script = Script(exchange(request_head(target=b"/", host=b"www.example.com")))
        script.answers(400)
        self.assertEqual(script.ends().failure, "not-for-a-proxy")
