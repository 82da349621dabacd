"""A client that leaves at each place where the road waits."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.errors import ClientGone, ProtocolError, UpstreamError
from corpproxy.exchange.commands import (
    CheckCredentials,
    Drain,
    Establish,
    Fetch,
    OpenTunnel,
    Peek,
    ReadContent,
    Relay,
    Resolve,
    Respond,
    Upgrade,
)
from corpproxy.exchange.refusal import TunnelEnded
from corpproxy.exchange.road import cut_off, refuse
from corpproxy.preface.first_octets import Start, Verdict
from tests.exchange.asking import (
    ADDRESSES,
    BLOCKED,
    CREDENTIALS,
    LINE,
    TLS,
    answer,
    connect,
    get,
)
from tests.support.builders import (
    exchange,
)
from tests.support.rows import rows, tabular
from tests.support.script import Script

POSTED = {"method": b"POST", "content": b"x"}


def _fetched(script):
    script.asks(Fetch).answer(answer(200))


def _opened(script):
    script.asks(OpenTunnel).answer(LINE)


def _established(script):
    _opened(script)
    script.asks(Establish).answer()


def _peeked(script):
    _established(script)
    script.asks(Peek).answer(TLS)


def _switched(script):
    script.asks(Fetch).answer(answer(101, b"Upgrade: websocket", b"Connection: Upgrade", framed=False))


def _websocket(script):
    _established(script)
    script.asks(Peek).answer(Verdict(Start.WEBSOCKET, host=b"www.example.com"))


def _tried(script):
    script.asks(Fetch).fail(UpstreamError("upstream-closed", "closed", phase="answer", reused=True))


def _nothing(script):
    pass


PORTAL = b"http://proxy.internal/"
WEBSOCKET = (b"http://www.example.com/", b"Upgrade: websocket", b"Connection: Upgrade")


@tabular
class ClientGoneTests(SynchronousTestCase):
    """The client is gone at each place where the road waits."""

    @rows(
        check=(lambda: get(b"http://a.example/", CREDENTIALS, sign_in=True), _nothing, CheckCredentials),
        resolve=(lambda: get(rules=[ADDRESSES]), _nothing, Resolve),
        fetch=(get, _nothing, Fetch),
        fetch_again=(get, _tried, Fetch),
        relay=(get, _fetched, Relay),
        switch=(lambda: get(*WEBSOCKET), _switched, Relay),
        respond_blocked=(lambda: get(b"http://games.example/", rules=[BLOCKED]), _nothing, Respond),
        respond_challenge=(lambda: get(sign_in=True), _nothing, Respond),
        respond_malformed=(lambda: get(b"https://a.example/"), _nothing, Respond),
        respond_trace=(
            lambda: get(b"http://a.example/", b"Max-Forwards: 0", method=b"TRACE"),
            _nothing,
            Respond,
        ),
        respond_options=(lambda: get(b"*", method=b"OPTIONS", host=b"a.example"), _nothing, Respond),
        portal_content=(lambda: get(PORTAL), _nothing, ReadContent),
        portal_page=(lambda: get(PORTAL), lambda script: script.asks(ReadContent).answer(b""), Respond),
        open_tunnel=(connect, _nothing, OpenTunnel),
        establish=(connect, _opened, Establish),
        peek=(connect, _established, Peek),
        upgrade=(connect, _websocket, Upgrade),
    )
    def test_gone(self, ask, before, kind):
        """The exchange ends there, its result says so, and nothing more is asked."""
        script = ask()
        before(script)
        script.asks(kind).fail(ClientGone())
        ended = script.ends()
        self.assertEqual(
            (ended.result, ended.failure, ended.keep), (ResultCode.CLIENT_GONE, "client-gone", False)
        )

    @rows(
        after_refusal=(
            lambda: get(b"http://games.example/", rules=[BLOCKED], **POSTED),
            lambda script: script.answers(403),
            ResultCode.BLOCKED,
        ),
        after_answer=(
            lambda: get(**POSTED),
            lambda script: (_fetched(script), script.asks(Relay).answer()),
            ResultCode.FORWARDED,
        ),
    )
    def test_gone_while_draining(self, ask, before, result):
        """Who leaves once the answer is out has had it."""
        for failure in (ClientGone(), TunnelEnded("stopping", "we stop"), ProtocolError("x", "y")):
            script = ask()
            before(script)
            script.asks(Drain).fail(failure)
            ended = script.ends()
            self.assertEqual((ended.result, ended.keep), (result, False))

    def test_gone_from_a_tunnel(self):
        """A client that leaves its open tunnel without an end is recorded as gone."""
        script = connect()
        _peeked(script)
        ended = script.ends()
        cut_off(ended, ClientGone("the client reset the tunnel"))
        self.assertEqual(
            (ended.result, ended.failure, ended.keep), (ResultCode.CLIENT_GONE, "client-gone", False)
        )

    def test_gone_before_the_road(self):
        """Also from an exchange that is refused before its road begins."""
        begun = exchange()
        script = Script(begun, lambda one: refuse(one, ProtocolError("bad-request-line", "no")))
        script.asks(Respond).fail(ClientGone())
        self.assertEqual(script.ends().result, ResultCode.CLIENT_GONE)
