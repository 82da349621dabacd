"""What: domains, URLs, expressions, as they are written and as they match."""

from __future__ import annotations

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.model import AddressClass
from corpproxy.identity.model import ANONYMOUS
from corpproxy.policy import networks
from corpproxy.policy.columns import EVERY_CATEGORY
from corpproxy.policy.conditions import (
    PortRange,
    SizeRange,
    What,
    Who,
    asked_keys,
    parse_asn,
    parse_country,
    parse_domain,
    parse_expression,
    parse_extension,
    parse_host,
    parse_media_type,
    parse_size_range,
    parse_url,
)
from corpproxy.policy.model import NO_CONTENT, Answer, Effect
from corpproxy.policy.table import Table
from tests.policy.builders import CAROL, LABS, LESSONS, NETWORKS, facts, local, rule
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular

GAMES = facts("http://www.miniclip.com/games/chess?level=2", categories=("games",))
TUNNEL = facts("https://www.miniclip.com:443", categories=("games",))
INSIDE = ip_network("10.1.4.0/24")
PRIVATE = frozenset({AddressClass.PRIVATE, AddressClass.PUBLIC})


def url(*written):
    return What(url=tuple(parse_url(one) for one in written))


def expression(*written):
    return What(expression=tuple(parse_expression(one) for one in written))


@tabular
class MatchTests(SynchronousTestCase):
    """One rule and one exchange."""

    @rows(
        nothing_asked=(Who(), What(), GAMES, True),
        user=(Who(user=("beth", "amir")), What(), GAMES, True),
        other_user=(Who(user=("beth",)), What(), GAMES, False),
        group=(Who(group=("staff", "pupils")), What(), GAMES, True),
        other_group=(Who(group=("staff",)), What(), GAMES, False),
        user_and_group=(Who(user=("amir",), group=("staff",)), What(), GAMES, False),
        network=(Who(network=("labs",)), What(), GAMES, True),
        other_network=(Who(network=("wifi",)), What(), GAMES, False),
        range=(Who(network=("10.1.2.0/24",)), What(), GAMES, True),
        mapped_client=(Who(network=("labs",)), What(), facts(client="::ffff:10.1.2.3"), True),
        no_client=(Who(network=("labs",)), What(), facts(client=""), False),
        listener=(Who(listener=("rooms",)), What(), GAMES, True),
        other_listener=(Who(listener=("office",)), What(), GAMES, False),
        anonymous=(Who(anonymous=True), What(), facts(identity=ANONYMOUS), True),
        not_anonymous=(Who(anonymous=True), What(), GAMES, False),
        somebody=(Who(anonymous=False), What(), GAMES, True),
        category=(Who(), What(category=("news", "games")), GAMES, True),
        other_category=(Who(), What(category=("news",)), GAMES, False),
        uncategorised=(Who(), What(uncategorised=True), facts(), True),
        not_uncategorised=(Who(), What(uncategorised=True), GAMES, False),
        categorised=(Who(), What(uncategorised=False), GAMES, True),
        domain_itself=(Who(), What(domain=("www.miniclip.com",)), GAMES, True),
        domain_above=(Who(), What(domain=("miniclip.com",)), GAMES, True),
        domain_top=(Who(), What(domain=("com",)), GAMES, True),
        domain_below=(Who(), What(domain=("a.www.miniclip.com",)), GAMES, False),
        domain_tail_of_label=(Who(), What(domain=("clip.com",)), GAMES, False),
        domain_tunnel=(Who(), What(domain=("miniclip.com",)), TUNNEL, True),
        address_is_no_domain=(Who(), What(domain=("0.0.1",)), facts("http://10.0.0.1/"), False),
        address_itself=(Who(), What(domain=("10.0.0.1",)), facts("http://10.0.0.1/"), True),
        device=(Who(device=("labs",)), What(), facts(identity=LABS), True),
        device_signed_in=(Who(device=("labs",)), What(), GAMES, False),
        device_elsewhere=(Who(device=("wifi",)), What(), facts(identity=LABS), False),
        agent=(Who(agent=("Firefox/1[0-9]+",)), What(), facts(agent="Mozilla/5.0 Firefox/140.0"), True),
        other_agent=(Who(agent=("Firefox",)), What(), facts(agent="curl/8"), False),
        no_agent=(Who(agent=(".",)), What(), facts(), False),
        host=(Who(), What(host=("www.miniclip.com",)), GAMES, True),
        host_above=(Who(), What(host=("miniclip.com",)), GAMES, False),
        extension=(Who(), What(extension=("exe",)), facts("http://x.org/a/Setup.EXE?x=1"), True),
        extension_of_two=(Who(), What(extension=("tar.gz",)), facts("http://x.org/a.tar.gz"), True),
        extension_last=(Who(), What(extension=("gz",)), facts("http://x.org/a.tar.gz"), True),
        extension_escaped=(Who(), What(extension=("exe",)), facts("http://x.org/a%2eex%65"), True),
        extension_parameter=(Who(), What(extension=("exe",)), facts("http://x.org/a.exe;x=.txt"), True),
        extension_in_query=(Who(), What(extension=("exe",)), facts("http://x.org/a?f=b.exe"), False),
        extension_in_folder=(Who(), What(extension=("exe",)), facts("http://x.org/a.exe/b"), False),
        extension_of_tunnel=(Who(), What(extension=("com",)), TUNNEL, False),
        country=(Who(), What(country=("GB",)), facts(countries=frozenset({"US", "GB"})), True),
        other_country=(Who(), What(country=("GB",)), facts(countries=frozenset({"US"})), False),
        asn=(Who(), What(asn=(786,)), facts(asns=frozenset({786})), True),
        other_asn=(Who(), What(asn=(786,)), facts(asns=frozenset()), False),
        media_type=(Who(), What(media_type=("video/mp4",)), facts(answer=Answer("video/mp4")), True),
        media_kind=(Who(), What(media_type=("video/*",)), facts(answer=Answer("video/mp4")), True),
        other_media_type=(Who(), What(media_type=("video/*",)), facts(answer=Answer("text/html")), False),
        media_type_without_content=(Who(), What(media_type=("video/*",)), facts(answer=NO_CONTENT), False),
        media_type_of_tunnel=(Who(), What(media_type=("video/*",)), TUNNEL, False),
        size=(Who(), What(size=(SizeRange(1001),)), facts(answer=Answer("", 1001)), True),
        other_size=(Who(), What(size=(SizeRange(1001),)), facts(answer=Answer("", 1000)), False),
        url=(Who(), url("miniclip.com/games"), GAMES, True),
        url_whole_segment=(Who(), url("miniclip.com/gam"), GAMES, False),
        url_to_slash=(Who(), url("www.miniclip.com/games/"), GAMES, True),
        url_into_query=(Who(), url("miniclip.com/games/chess?level="), GAMES, True),
        url_other_path=(Who(), url("miniclip.com/news"), GAMES, False),
        url_other_host=(Who(), url("example.com/games"), GAMES, False),
        url_port=(Who(), url("miniclip.com:8080/games"), GAMES, False),
        url_scheme_does_not_count=(Who(), url("https://miniclip.com/games"), GAMES, True),
        url_tunnel_shows_no_path=(Who(), url("miniclip.com/games"), TUNNEL, False),
        url_whole_host=(Who(), url("miniclip.com"), TUNNEL, True),
        url_host_port=(Who(), url("miniclip.com:443"), TUNNEL, True),
        url_escaped=(Who(), url("miniclip.com/games"), facts("http://miniclip.com/%67ames"), True),
        url_dots=(Who(), url("miniclip.com/games"), facts("http://miniclip.com/x/%2e%2E/games"), True),
        expression=(Who(), expression(r"chess|poker"), GAMES, True),
        expression_uri=(Who(), expression(r"^http://www\.miniclip\.com/games/.*=2$"), GAMES, True),
        expression_not_there=(Who(), expression("poker", "casino"), GAMES, False),
        expression_second=(Who(), expression("poker", "chess"), GAMES, True),
        expression_tunnel=(Who(), expression(r"^www\.miniclip\.com:443$"), TUNNEL, True),
        expression_case=(Who(), expression("CHESS"), GAMES, False),
        expression_no_case=(Who(), expression("(?i)CHESS"), GAMES, True),
        expression_escaped=(Who(), expression("chess"), facts("http://x.org/%63hess"), True),
        method=(Who(), What(method=("POST", "GET")), GAMES, True),
        method_of_tunnel=(Who(), What(method=("CONNECT",)), TUNNEL, True),
        other_method=(Who(), What(method=("POST",)), GAMES, False),
        scheme=(Who(), What(scheme=("https",)), TUNNEL, True),
        other_scheme=(Who(), What(scheme=("https",)), GAMES, False),
        port=(Who(), What(port=(443, 8443)), TUNNEL, True),
        port_in_range=(Who(), What(port=(22, PortRange(400, 500))), TUNNEL, True),
        port_first=(Who(), What(port=(PortRange(443, 450),)), TUNNEL, True),
        port_last=(Who(), What(port=(PortRange(1, 443), PortRange(8000, 9000))), TUNNEL, True),
        port_before=(Who(), What(port=(PortRange(444, 65535), 80)), TUNNEL, False),
        port_after=(Who(), What(port=(PortRange(1, 442),)), TUNNEL, False),
        other_port=(Who(), What(port=(443,)), GAMES, False),
        address=(Who(), What(address=(AddressClass.PRIVATE,)), facts(address_classes=PRIVATE), True),
        other_address=(Who(), What(address=(AddressClass.LOOPBACK,)), facts(address_classes=PRIVATE), False),
        address_in_network=(Who(), What(address=(INSIDE,)), facts(addresses=frozenset({"10.1.4.9"})), True),
        any_of_its_addresses=(
            Who(),
            What(address=(INSIDE,)),
            facts(addresses=frozenset({"93.184.216.34", "10.1.4.9"})),
            True,
        ),
        address_beside=(Who(), What(address=(INSIDE,)), facts(addresses=frozenset({"10.1.5.0"})), False),
        address_that_leads_there=(
            Who(),
            What(address=(INSIDE,)),
            facts(addresses=frozenset({"64:ff9b::10.1.4.9"})),
            True,
        ),
        kind_or_network=(
            Who(),
            What(address=(AddressClass.LOOPBACK, INSIDE)),
            facts(address_classes=PRIVATE, addresses=frozenset({"10.1.4.9"})),
            True,
        ),
        no_address_in_network=(Who(), What(address=(INSIDE,)), facts(addresses=frozenset()), False),
        no_address=(Who(), What(address=(AddressClass.PRIVATE,)), facts(address_classes=frozenset()), False),
    )
    def test_matches(self, who, what, asked, expected):
        """All keys that are asked must hold, and any value of one key is enough."""
        for refusing in Effect:
            table = Table([rule(effect=refusing, who=who, what=what)], NETWORKS)
            self.assertEqual(table.first(asked), 0 if expected else -1)

    @rows(
        in_lessons=("2026-11-23T10:00", 0),
        after=("2026-11-23T16:00", -1),
    )
    def test_when(self, at, expected):
        """A rule with hours matches within them."""
        self.assertEqual(Table([rule(when=(LESSONS,))]).first(facts(at=local(at))), expected)

    @rows(
        block=(Effect.BLOCK, 0),
        allow=(Effect.ALLOW, -1),
    )
    def test_media_type_not_stated(self, effect, expected):
        """An answer that does not say what it is may be anything."""
        table = Table([rule(effect=effect, what=What(media_type=("video/*",)))])
        self.assertEqual(table.first(facts(answer=Answer())), expected)

    def test_first_of_many(self):
        """Of several rows the first that matches is given."""
        table = Table([rule(who=Who(group=("staff",))), rule(what=What(category=("games",))), rule()])
        self.assertEqual([table.first(one) for one in (facts(identity=CAROL), GAMES, facts())], [0, 1, 2])

    def test_empty(self):
        """A table without rows matches nothing."""
        self.assertEqual(Table([]).first(GAMES), -1)


@tabular
class UnknownTests(SynchronousTestCase):
    """What cannot be known counts for what refuses and against what allows."""

    @rows(
        block=(Effect.BLOCK, What(category=("malware",)), {"malware"}, 0),
        warn=(Effect.WARN, What(category=("malware",)), {"malware"}, 0),
        allow=(Effect.ALLOW, What(category=("malware",)), {"malware"}, -1),
        any_of_two=(Effect.BLOCK, What(category=("malware", "games")), {"malware"}, 0),
        another_category=(Effect.BLOCK, What(category=("games",)), {"malware"}, -1),
        every_category=(Effect.BLOCK, What(category=("games",)), {EVERY_CATEGORY}, 0),
        another_key=(Effect.BLOCK, What(category=("malware",), port=(22,)), {"malware"}, -1),
        block_uncategorised=(Effect.BLOCK, What(uncategorised=True), {"malware"}, 0),
        allow_uncategorised=(Effect.ALLOW, What(uncategorised=True), {"malware"}, -1),
        allow_uncategorised_known=(Effect.ALLOW, What(uncategorised=True), (), 0),
        block_address=(Effect.BLOCK, What(address=(AddressClass.PRIVATE,)), (), 0),
        block_country=(Effect.BLOCK, What(country=("GB",)), (), 0),
        allow_country=(Effect.ALLOW, What(country=("GB",)), (), -1),
        block_asn=(Effect.BLOCK, What(asn=(786,)), (), 0),
        allow_asn=(Effect.ALLOW, What(asn=(786,)), (), -1),
        block_media_type_yet=(Effect.BLOCK, What(media_type=("video/*",)), (), -1),
        allow_media_type_yet=(Effect.ALLOW, What(media_type=("video/*",)), (), 0),
        block_size_yet=(Effect.BLOCK, What(size=(SizeRange(1001),)), (), -1),
        allow_size_yet=(Effect.ALLOW, What(size=(SizeRange(1001),)), (), 0),
        allow_not_media_type_yet=(Effect.ALLOW, What(not_=What(media_type=("video/*",))), (), 0),
        block_not_media_type_yet=(Effect.BLOCK, What(not_=What(media_type=("video/*",))), (), -1),
        allow_address=(Effect.ALLOW, What(address=(AddressClass.PRIVATE,)), (), -1),
    )
    def test_unknown(self, effect, what, missing, expected):
        """A missing list, or an address that somebody else looks up, refuses and never allows."""
        table = Table([rule(effect=effect, what=what)], missing=frozenset(missing))
        self.assertEqual(table.first(facts()), expected)


@tabular
class ParseTests(SynchronousTestCase):
    """What an administrator writes."""

    @rows(
        plain=("Example.COM.", "example.com"),
        dotted=(".example.com", "example.com"),
        starred=("*.example.com", "example.com"),
        unicode=("bücher.example", "xn--bcher-kva.example"),
        address=("[2001:DB8::1]", "2001:db8::1"),
    )
    def test_domain(self, written, expected):
        """A domain has the normal form of hosts."""
        self.assertEqual(parse_domain(written), expected)

    @rows(
        host=("example.com", "example.com/"),
        scheme=("https://Example.com/News", "example.com/News"),
        port=("example.com:8080/x", "example.com:8080/x"),
        ipv6=("http://[2001:DB8::1]:8080/x", "[2001:db8::1]:8080/x"),
        ipv6_without_port=("[2001:db8::1]/x", "[2001:db8::1]/x"),
        query=("example.com?q=1", "example.com/?q=1"),
        fragment=("example.com/a#b", "example.com/a"),
        escapes=("example.com/%7euser/%e2", "example.com/~user/%E2"),
        unicode=("example.com/é", "example.com/%C3%A9"),
        colon_in_path=("example.com/a:b", "example.com/a:b"),
    )
    def test_url(self, written, expected):
        """A URL prefix is host, port and the beginning of a path, in normal form."""
        self.assertEqual(str(parse_url(written)), expected)

    @rows(
        host=(parse_host, "WWW.Example.com", "www.example.com"),
        extension=(parse_extension, "*.EXE", "exe"),
        media_type=(parse_media_type, "Video/*", "video/*"),
        country=(parse_country, "gb", "GB"),
        asn=(parse_asn, "AS13335", 13335),
        asn_bare=(parse_asn, "786", 786),
        over=(parse_size_range, "over 100MiB", SizeRange((100 << 20) + 1)),
        up_to=(parse_size_range, "up to  64KiB", SizeRange(0, 64 << 10)),
        up_to_octets=(parse_size_range, "up to 10", SizeRange(0, 10)),
    )
    def test_parse(self, parse, written, expected):
        """Each key has a form of its own, and is written again as it was."""
        self.assertEqual(parse(written), expected)
        if isinstance(expected, SizeRange):
            self.assertEqual(parse(str(expected)), expected)

    @rows(
        domain_path=(parse_domain, "example.com/x", "write it under url"),
        domain_empty=(parse_domain, "", "is no host name"),
        domain_space=(parse_domain, "exa mple.com", "is no host name"),
        host_below=(parse_host, "*.example.com", "write it under domain"),
        extension=(parse_extension, "a/b", "write it as exe or tar.gz"),
        media_type=(parse_media_type, "video", "write it as video/mp4"),
        country=(parse_country, "Britain", "write its two letters"),
        country_uk=(parse_country, "uk", "write GB"),
        asn=(parse_asn, "AS0", "write it as AS13335"),
        asn_large=(parse_asn, "4294967296", "write it as AS13335"),
        size=(parse_size_range, "100MiB", "write 'over 100MiB' or 'up to 64KiB'"),
        url_userinfo=(parse_url, "http://amir@example.com/", "is no URL"),
        url_port=(parse_url, "example.com:99999/", "is no URL"),
        url_empty=(parse_url, "/news", "is no URL"),
        expression_open=(parse_expression, "(", "missing )"),
        expression_look_ahead=(parse_expression, "(?=x)", "is no regular expression"),
        expression_back_reference=(parse_expression, r"(a)\1", "is no regular expression"),
        expression_surrogate=(parse_expression, "\udc80", "is no regular expression"),
    )
    def test_refused(self, parse, written, said):
        """What is wrong is said."""
        error = self.assertRaises(ValueError, parse, written)
        self.assertIn(said, str(error))

    @EXAMPLES
    @given(st.text(max_size=30))
    def test_any_text(self, written):
        """Any text gives a value or a ValueError."""
        for parse in (parse_domain, parse_url, parse_expression):
            try:
                parse(written)
            except ValueError as wrong:
                self.assertTrue(str(wrong))

    def test_network(self):
        """A network that does not exist is a ValueError, never a network in which nobody is."""
        self.assertRaises(ValueError, networks.ClientNetworks, ["lab"], NETWORKS)

    def test_networks_are_bounded(self):
        """However many clients come, only so many are remembered."""
        self.patch(networks, "MAX_REMEMBERED", 10)
        known = networks.ClientNetworks(["labs"], NETWORKS)
        self.assertEqual({known.of(f"10.1.0.{number}") for number in range(25)}, {("labs",)})
        self.assertLessEqual(len(known._remembered), 10)

    def test_asked_keys(self):
        """Only what is asked is a key; false is asked too."""
        asked = rule(who=Who(anonymous=False), what=What(port=(80,)), when=(LESSONS,))
        self.assertEqual(asked_keys(asked), {"anonymous", "port", "when"})
