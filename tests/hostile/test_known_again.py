"""
What is remembered of exchanges decides nothing: one that comes last of many goes as if it were the first.

Rules, exemptions and requests are made up; what a warm proxy does with the last request of a series is held
beside what a new one does with it alone.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.exchange.refusal import SignInRefused
from corpproxy.identity.model import Identity
from corpproxy.policy.conditions import PortRange, UrlPrefix, What, Who
from corpproxy.policy.exempt import Exemption
from corpproxy.policy.model import Effect
from corpproxy.policy.staged import Mode, Stage
from tests.preface.hellos import real_hello
from tests.support.builders import AMIR, BASIC, in_force, request, response, rule
from tests.support.examples import EXAMPLES
from tests.support.wires import Site

HOSTS = ("a.example", "a.example", "b.a.example", "c.example", "93.184.216.34")
CAROL = b"Basic Y2Fyb2w6eA=="
KNOWN = {BASIC: AMIR, CAROL: Identity("carol", ("staff",))}


def some(**values: Any) -> Any:
    """None of these keys, one or two, each with one of its values in a tuple."""
    one = st.sampled_from([(key, value) for key, of in values.items() for value in of])
    return st.lists(one, max_size=2).map(lambda keys: {key: (value,) for key, value in keys})


WHATS = some(
    domain=("a.example", "c.example"),
    host=HOSTS,
    url=(
        UrlPrefix("a.example", 0, "/x"),
        UrlPrefix("c.example", 8080, "/"),
        UrlPrefix("a.example", 0, "/x/y"),
    ),
    expression=("secret", "a.example/x", "[?]q=", "^http://c"),
    extension=("exe", "png"),
    method=("GET", "HEAD", "CONNECT"),
    port=(80, 443, PortRange(1, 100)),
    category=("games", "news"),
).map(lambda keys: What(**keys))
WHOS = some(user=("amir", "carol"), group=("pupils",), agent=("Firefox", "curl")).map(
    lambda keys: Who(**keys)
)
STAGES = st.sampled_from([Stage(), Stage(), Stage(), Stage(mode=Mode.SHADOW), Stage(share=5000)])
RULES = st.lists(
    st.tuples(st.sampled_from([Effect.ALLOW, Effect.BLOCK, Effect.WARN]), WHOS, WHATS, STAGES), max_size=4
)
SECRETS = (Effect.BLOCK, Who(), What(expression=("secret",)), Stage())
EXEMPT = st.lists(st.tuples(some(agent=("curl",)).map(lambda keys: Who(**keys)), WHATS), max_size=1)

AUTHORITIES = ("", "", ".", ":80", ":8080")
PATHS = (
    "/",
    "/",
    "/x",
    "/x/yz",
    "/x/../x/y",
    "//x",
    "/%78",
    "/secret",
    "/a.EXE",
    "/?q=2",
    "/x;y",
    "/X",
    "?q",
    "",
)
FIELDS = st.tuples(
    st.sampled_from([(), (b"User-Agent: Firefox",), (b"User-Agent: curl",)]),
    st.sampled_from([(), (b"Proxy-Authorization: " + BASIC,), (b"Proxy-Authorization: " + CAROL,)]),
    st.sampled_from([(), (), (b"Connection: close",), (b"Cookie: a%b",)]),
).map(lambda parts: sum(parts, ()))
URLS = st.tuples(
    st.sampled_from(["http", "http", "HTTP"]),
    st.sampled_from(HOSTS),
    st.sampled_from(AUTHORITIES),
    st.sampled_from(PATHS),
).map(lambda parts: "{}://{}{}{}".format(*parts).encode())
TUNNELS = st.sampled_from([b"a.example:443", b"c.example:80"])
ASKED = st.one_of(
    st.tuples(st.sampled_from([b"GET", b"GET", b"GET", b"HEAD"]), URLS),
    st.tuples(st.just(b"CONNECT"), TUNNELS),
)
# Often enough the same, with another path or a letter more.
SERIES = st.lists(ASKED, min_size=1, max_size=4)


def asked(method: bytes, target: bytes, fields: tuple[bytes, ...]) -> bytes:
    """The request on the wire."""
    return request(method, target, *fields, host=b"some.example")


@cache
def hello(name: str) -> bytes:
    """The ClientHello for a name: the same each time."""
    return real_hello(name)


class Talk:
    """A proxy to which one client comes after another."""

    def __init__(self, rules: Any, exempt: Any, sign_in: bool) -> None:
        self.site = Site(
            force=in_force(
                *(
                    rule(f"rule {number}", effect, who=who, what=what, stage=stage)
                    for number, (effect, who, what, stage) in enumerate(rules)
                ),
                sign_in=sign_in,
                known=KNOWN,
                own={"a.example": ("games",), "c.example": ("news",)},
                exempt=[Exemption(who=who, what=what) for who, what in exempt],
            )
        )
        self.site.sign_in.outcome = SignInRefused("wrong-password", "nobody")
        self.servers: list[Any] = []

    def ask(self, method: bytes, target: bytes, fields: tuple[bytes, ...]) -> Any:
        """Ask once; gives what client, server and record are told, but for times and numbers."""
        site, client = self.site, self.site.client()
        client.send(asked(method, target, fields))
        site.settle()
        self.servers += [site.server() for _ in site.dialling]
        if method == b"CONNECT":
            client.send(hello(target.partition(b":")[0].decode()))
        site.settle()
        sent = self.served(method)
        got = bytes(client.take())
        client.end()
        client.break_off()
        site.settle()
        self.servers = [one for one in self.servers if not one.closed]
        return status(got), sent, told(site.records[-1])

    def served(self, method: bytes) -> Any:
        """What a server was sent, and where it is; it answers."""
        for server in self.servers:
            octets = server.take()
            if octets:
                if method != b"CONNECT":
                    server.send(response(content=b"", framed=True))
                self.site.settle()
                return octets, server.getPeer().host, server.getPeer().port
        return None


def status(octets: bytes) -> bytes:
    """The first line of an answer."""
    return re.split(rb"\r\n", octets, maxsplit=1)[0]


def told(record: Any) -> dict[str, Any]:
    """A record without what differs from one exchange to the next."""
    differs = {"id", "at", "seconds", "connect_ms", "resolve_ms", "first_octet_ms", "sent"}
    return {name: getattr(record, name) for name in record.__struct_fields__ if name not in differs}


class KnownAgainTests(SynchronousTestCase):
    """Series of requests that are alike."""

    @settings(EXAMPLES)
    @given(RULES, EXEMPT, st.booleans(), FIELDS, SERIES)
    @example([], [], False, (), [(b"GET", b"http://a.example./x"), (b"GET", b"http://a.example/")])
    @example([], [], False, (), [(b"GET", b"http://a.example."), (b"GET", b"http://a.example/")])
    @example(
        [SECRETS], [], False, (), [(b"GET", b"http://a.example/x"), (b"GET", b"http://a.example/secret")]
    )
    def test_last_as_first(self, rules, exempt, sign_in, fields, series):
        """Each of them is decided, forwarded and recorded as if it had come alone."""
        warm = Talk(rules, exempt, sign_in)
        for _ in range(3):
            for method, target in series:
                warm.ask(method, target, fields)
        for method, target in series:
            last = warm.ask(method, target, fields)
            self.assertEqual(last, Talk(rules, exempt, sign_in).ask(method, target, fields))
        self.assertEqual(self.flushLoggedErrors(), [])
