"""Facts, rules and hours with sensible defaults, and strategies that make many of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from ipaddress import ip_network
from itertools import permutations
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from corpproxy.destination.host import normal_host
from corpproxy.destination.model import AddressClass
from corpproxy.errors import Place
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.policy.calendar import Hours, parse_days, parse_spans
from corpproxy.policy.conditions import PortRange, SizeRange, What, When, Who, parse_url
from corpproxy.policy.exceptions import ALL_RULES, ExceptionEntry
from corpproxy.policy.model import Answer, ConnectTo, Effect, Facts, Safety
from corpproxy.policy.rules import Rule
from corpproxy.policy.staged import Mode, Period, Stage

LONDON = ZoneInfo("Europe/London")
AMIR = Identity("amir", ("pupils",))
CAROL = Identity("carol", ("staff",))
LABS = Identity("labs", (), "network")
NETWORKS = {"labs": [ip_network("10.1.0.0/16")], "wifi": [ip_network("10.2.0.0/16"), ip_network("fd00::/8")]}


def local(written, zone=LONDON):
    """POSIX seconds of a local time."""
    return datetime.fromisoformat(written).replace(tzinfo=zone).timestamp()


# A Monday in term, in the middle of the morning.
MONDAY = local("2026-11-23T10:00")
LESSONS = When("lessons", Hours(parse_days("mon-fri"), parse_spans("08:30-15:30"), LONDON))
NIGHT = When("night", Hours(parse_days("fri-sat"), parse_spans("22:00-06:00"), LONDON))


def facts(url="http://www.example.com/", identity=AMIR, method="GET", **more):
    """The facts of a request for a URL; an https URL is a CONNECT."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host, _, port = authority.partition(":")
    tunnel = scheme == "https"
    values = {
        "identity": identity,
        "client": "10.1.2.3",
        "listener": "rooms",
        "method": "CONNECT" if tunnel else method,
        "scheme": scheme,
        "host": normal_host(host),
        "port": int(port or (443 if tunnel else 80)),
        "path": "" if tunnel else slash + path or "/",
        "categories": (),
        "at": MONDAY,
    }
    return Facts(**{**values, **more})


def rule(name="rule", effect=Effect.BLOCK, *, who=None, what=None, when=(), line=1, **more):
    """A rule."""
    return Rule(
        name,
        effect,
        who=who or Who(),
        what=what or What(),
        when=when,
        place=Place("policy.yaml", line, 5),
        **more,
    )


def allow(name="everything else", **more):
    """A rule that allows."""
    return rule(name, Effect.ALLOW, **more)


_HOSTS = ("example.com", "www.example.com", "miniclip.com", "a.b.miniclip.com", "10.0.0.7", "93.184.216.34")
_CATEGORIES = ("games", "news", "malware")
_URLS = tuple(
    map(parse_url, ("example.com/news", "miniclip.com", "example.com:8080/", "b.miniclip.com/a?x=1"))
)


def _some(*values):
    """
    None of these, one, or two in either order; mostly not asked, so that rules match often enough.

    It is one choice: a policy has hundreds, and what makes up each of several spends most of a test's time.
    """
    asked = [chosen for count in range(3) for chosen in permutations(values, count)]
    return st.sampled_from([()] * (2 * len(asked)) + asked)


def _maybe(strategy, empty):
    """Mostly not asked, too."""
    return st.one_of(st.just(empty), st.just(empty), strategy)


_FLAGS = st.sampled_from([None, None, None, None, False, True])

plain_whos = st.builds(
    Who,
    user=_some("amir", "carol"),
    group=_some("pupils", "staff"),
    network=_some("labs", "wifi", "10.1.2.0/24"),
    listener=_some("rooms", "office"),
    device=_some("labs", "wifi"),
    anonymous=_FLAGS,
    agent=_some("Firefox", "^curl/[0-9]", "(?i)update"),
)
plain_whats = st.builds(
    What,
    category=_some(*_CATEGORIES),
    uncategorised=_FLAGS,
    domain=_some("example.com", "miniclip.com", "b.miniclip.com", "com", "10.0.0.7", "7"),
    host=_some("example.com", "a.b.miniclip.com", "10.0.0.7"),
    url=_some(*_URLS),
    extension=_some("exe", "gz", "tar.gz"),
    expression=_some("mini", r":443$", "^http://", "news|x=1"),
    method=_some("GET", "POST", "CONNECT"),
    scheme=_some("http", "https"),
    port=_some(80, 443, 22, PortRange(1, 80), PortRange(443, 8080)),
    address=_some(
        AddressClass.PUBLIC,
        AddressClass.PRIVATE,
        ip_network("10.0.0.0/8"),
        ip_network("93.184.216.34"),
        ip_network("2001:db8::/32"),
    ),
    country=_some("GB", "US"),
    asn=_some(13335, 786),
    media_type=_some("video/mp4", "video/*", "text/html"),
    size=_some(SizeRange(1001), SizeRange(0, 10)),
)


def _nested(plain):
    """Parts with parts inside them, a few levels deep; mostly without."""

    def hold(inner):
        some = _maybe(st.lists(inner, min_size=1, max_size=2).map(tuple), ())
        return st.builds(
            lambda part, all_, any_, not_: replace(part, all_=all_, any_=any_, not_=not_),
            plain,
            some,
            some,
            _maybe(inner, None),
        )

    return st.recursive(plain, hold, max_leaves=5)


whos = _nested(plain_whos)
whats = _nested(plain_whats)
safeties = st.builds(
    Safety,
    connect_ports=st.sampled_from([frozenset(), frozenset({443, 80}), frozenset({22})]),
    connect_to=st.sampled_from(ConnectTo),
    addresses=st.frozensets(st.sampled_from([AddressClass.PUBLIC, AddressClass.PRIVATE])),
)
rules = st.builds(
    Rule,
    name=st.sampled_from(["one", "two", "three"]),
    effect=st.sampled_from(Effect),
    who=whos,
    what=whats,
    when=_some(LESSONS, NIGHT),
    location=st.sampled_from(["http://proxy.internal/", "http://proxy.internal/?u={uri}&h={host}"]),
    safety=_maybe(safeties, None),
)
policies = st.lists(rules, max_size=8)
instants = st.one_of(
    st.floats(MONDAY - 30 * 86_400, MONDAY + 400 * 86_400),
    st.sampled_from([local(f"2026-11-23T{clock}") for clock in ("08:29:59", "08:30", "15:29:59", "15:30")]),
)
some_facts = st.builds(
    Facts,
    identity=st.sampled_from([AMIR, CAROL, ANONYMOUS, Identity("dora", ("pupils", "staff")), LABS]),
    client=st.sampled_from(["10.1.2.3", "10.2.0.1", "::ffff:10.1.9.9", "fd00::1", "", "nonsense"]),
    listener=st.sampled_from(["rooms", "office"]),
    method=st.sampled_from(["GET", "POST", "CONNECT"]),
    scheme=st.sampled_from(["http", "https"]),
    host=st.sampled_from(_HOSTS).map(normal_host),
    port=st.sampled_from([80, 443, 8080, 22]),
    path=st.sampled_from(
        [
            "",
            "/",
            "/news",
            "/newsletter",
            "/%6Eews/x",
            "/a?x=1",
            "/a/../news",
            "/\udcff/é",
            "/x/setup.exe;a",
            "/b.TAR.gz?.exe",
        ]
    ),
    categories=st.lists(st.sampled_from(_CATEGORIES), unique=True).map(sorted).map(tuple),
    at=instants,
    address_classes=st.one_of(
        st.none(), st.frozensets(st.sampled_from([AddressClass.PUBLIC, AddressClass.PRIVATE]))
    ),
    addresses=st.one_of(
        st.none(),
        st.frozensets(st.sampled_from(["10.0.0.7", "93.184.216.34", "2001:db8::7", "64:ff9b::a00:7"])),
    ),
    agent=st.sampled_from(["", "Mozilla/5.0 Firefox/140", "curl/8.1", "Windows-Update-Agent"]),
    countries=st.one_of(st.none(), st.frozensets(st.sampled_from(["GB", "US", "FR"]))),
    asns=st.one_of(st.none(), st.frozensets(st.sampled_from([13335, 786]))),
    answer=st.one_of(
        st.none(),
        st.builds(
            Answer,
            st.sampled_from(["", "video/mp4", "video/webm", "text/html"]),
            st.sampled_from([None, 0, 10, 11, 2000]),
            st.booleans(),
        ),
    ),
)
periods = st.builds(
    Period,
    start=_maybe(instants, Period().start),
    end=_maybe(instants, Period().end),
)
staged_rules = st.builds(
    replace,
    rules,
    name=st.sampled_from(["one", "two", "three", "four", "five"]),
    stage=st.builds(
        Stage, mode=st.sampled_from(Mode), share=st.sampled_from([10_000, 10_000, 1, 5_000]), period=periods
    ),
    exceptions=st.booleans(),
)
exceptions = st.lists(
    st.builds(
        ExceptionEntry,
        name=st.sampled_from(["club", "exam"]),
        past=st.sampled_from([("one",), ("two", "three"), (ALL_RULES,)]),
        who=whos,
        what=whats,
        when=_some(LESSONS, NIGHT),
        period=periods,
    ),
    max_size=3,
)
