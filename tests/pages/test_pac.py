"""The PAC file says to every engine exactly what the ``pac:`` table says."""

from __future__ import annotations

import ipaddress
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.pages.pac import MAX_PAC_OCTETS, PacTable, compile_pac, parse_direct, parse_proxy, route
from tests.pages.engines import run_in_pacparser, run_in_quickjs
from tests.support.rows import rows, tabular

SCHOOL = PacTable(
    proxy=("proxy.hillside.example:3128", "https secure.hillside.example:3129"),
    direct=(
        ".hillside.example", "printer.internal", "internal", "müller.example", "_srv.corp.example", "<local>",
        "10.0.0.0/8", "172.16.0.0/12", "192.0.2.7", "2001:db8::/32", "fd00::1", "198.51.100.128/25",
        "constructor", "__proto__.example",
    ),
    fallback=("[2001:db8::1]:3128", "spare.hillside.example:3128"),
    portal="proxy.internal",
)  # fmt: skip

CHAIN = (
    "PROXY proxy.hillside.example:3128",
    "HTTPS secure.hillside.example:3129",
    "PROXY [2001:db8::1]:3128",
    "PROXY spare.hillside.example:3128",
)
DIRECT = ("DIRECT",)

HOSTS = {
    "name_itself": ("hillside.example", DIRECT),
    "below": ("www.hillside.example", DIRECT),
    "far_below": ("a.b.c.d.hillside.example", DIRECT),
    "upper_case": ("WWW.HillSide.EXAMPLE", DIRECT),
    "trailing_dot": ("www.hillside.example.", DIRECT),
    "two_trailing_dots": ("www.hillside.example..", CHAIN),
    "only_ends_alike": ("nothillside.example", CHAIN),
    "above": ("example", DIRECT),  # a name without a dot
    "elsewhere": ("www.example.com", CHAIN),
    "written_with_umlaut": ("www.xn--mller-kva.example", DIRECT),
    "umlaut_unencoded": ("www.müller.example", CHAIN),
    "underscore": ("_srv.corp.example", DIRECT),
    "portal_inside_direct": ("proxy.internal", CHAIN),
    "portal_upper_case": ("PROXY.internal.", CHAIN),
    "beside_portal": ("www.internal", DIRECT),
    "plain_name": ("intranet", DIRECT),
    "plain_number": ("2130706433", CHAIN),
    "plain_hexadecimal": ("0x7f000001", CHAIN),
    "object_property": ("constructor", DIRECT),
    "below_object_property": ("a.constructor", DIRECT),
    "not_a_property": ("a.toString", CHAIN),
    "proto": ("__proto__.example", DIRECT),
    "proto_below": ("x.__proto__", CHAIN),
    "ipv4_inside": ("10.255.0.1", DIRECT),
    "ipv4_outside": ("11.0.0.1", CHAIN),
    "ipv4_first_of_network": ("172.16.0.0", DIRECT),
    "ipv4_last_of_network": ("172.31.255.255", DIRECT),
    "ipv4_behind_network": ("172.32.0.0", CHAIN),
    "ipv4_half": ("198.51.100.128", DIRECT),
    "ipv4_other_half": ("198.51.100.127", CHAIN),
    "ipv4_single": ("192.0.2.7", DIRECT),
    "ipv4_single_beside": ("192.0.2.8", CHAIN),
    "ipv4_octal_is_no_literal": ("010.0.0.1", CHAIN),
    "ipv4_too_large": ("10.0.0.256", CHAIN),
    "ipv4_three_parts": ("10.0.1", CHAIN),
    "ipv4_five_parts": ("10.0.0.0.1", CHAIN),
    "ipv4_in_a_name": ("10.0.0.1.example.com", CHAIN),
    "ipv6_inside": ("2001:db8:1::2", DIRECT),
    "ipv6_brackets": ("[2001:db8:1::2]", DIRECT),
    "ipv6_upper_case": ("2001:DB8::A", DIRECT),
    "ipv6_in_full": ("2001:0db8:0000:0000:0000:0000:0000:0001", DIRECT),
    "ipv6_outside": ("2001:db9::1", CHAIN),
    "ipv6_single": ("fd00::1", DIRECT),
    "ipv6_single_beside": ("fd00::2", CHAIN),
    "ipv6_with_ipv4": ("2001:db8::10.0.0.1", DIRECT),
    "ipv6_mapped": ("::ffff:10.0.0.1", CHAIN),
    "ipv6_zone": ("fd00::1%eth0", CHAIN),
    "ipv6_two_gaps": ("2001:db8::1::2", CHAIN),
    "ipv6_gap_of_one": ("2001:db8:1:2:3:4::6", DIRECT),
    "ipv6_gap_of_nothing": ("2001:db8:1:2:3:4:5::6", CHAIN),
    "ipv6_nine_groups": ("2001:db8:1:2:3:4:5:6:7", CHAIN),
    "ipv6_gap_too_much": ("2001:db8:1:2:3:4:5::6:7", CHAIN),
    "ipv6_ipv4_first": ("10.0.0.1::", CHAIN),
    "ipv6_ipv4_amid": ("2001:db8::10.0.0.1:1", CHAIN),
    "ipv6_any": ("::", CHAIN),
    "loopback_name": ("localhost", DIRECT),  # by <local>
    "loopback_below": ("x.localhost", CHAIN),
    "loopback_address": ("127.0.0.1", CHAIN),
    "space": ("a b", CHAIN),
    "newline": ("intranet\n", CHAIN),
    "single_dot": (".", CHAIN),
    "leading_dot": (".hillside.example", DIRECT),
    "very_long": ("a." * 120 + "hillside.example", DIRECT),
}  # fmt: skip


@tabular
class HostTests(SynchronousTestCase):
    """One host a row: the meaning of the table, and the text in two engines."""

    @rows(**HOSTS)
    def test_meaning(self, host, expected):
        """The table sends the host where its entries say, and nothing else past the proxy."""
        self.assertEqual(route(SCHOOL, host), expected)

    @rows(**HOSTS)
    def test_quickjs(self, host, expected):
        """The compiled text says the same in a present engine."""
        self.assertEqual(run_in_quickjs(compile_pac(SCHOOL))(host), expected)

    # libpacparser itself refuses a host with a line break before it asks the text.
    @rows(**{row: case for row, case in HOSTS.items() if row != "newline"})
    def test_pacparser(self, host, expected):
        """The compiled text says the same in an engine of the time of ECMAScript 3."""
        self.assertEqual(run_in_pacparser(compile_pac(SCHOOL))(host), expected)


# Few labels, so that what is generated often lies below, above or beside an entry.
LABELS = st.sampled_from(
    ["a", "b", "ab", "x-y", "com", "__proto__", "constructor", "xn--mller-kva", "1", "0x1"]
)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
ENTRY_NAMES = NAMES.filter(lambda name: not re.search(r"(?:^|\.)(?:1|0x1)$", name))
IPV4 = st.ip_addresses(v=4)
IPV6 = st.ip_addresses(v=6)
NETWORKS = st.one_of(
    st.tuples(st.just("10.16.0.0"), st.integers(0, 32)),
    st.tuples(IPV4.map(str), st.integers(0, 32)),
    st.tuples(IPV6.map(str), st.integers(0, 128)),
    st.tuples(st.just("2001:db8:8000::"), st.integers(0, 128)),
)


def _network(written):
    return str(ipaddress.ip_network(f"{written[0]}/{written[1]}", strict=False))


TABLES = st.builds(
    PacTable,
    proxy=st.just(("p.example:1",)),
    direct=st.lists(
        st.one_of(
            ENTRY_NAMES, ENTRY_NAMES.map(lambda name: f".{name}"), NETWORKS.map(_network), st.just("<local>")
        ),
        max_size=8,
    ).map(tuple),
    fallback=st.sampled_from([(), ("https q.example:2",)]),
    portal=st.sampled_from(["proxy.internal", "a.com", "b"]),
)
GENERATED_HOSTS = st.one_of(
    NAMES,
    NAMES.map(str.upper),
    NAMES.map(lambda name: f"{name}."),
    IPV4.map(str),
    st.sampled_from(["10.16.0.1", "10.17.0.0", "2001:db8:8000::", "2001:db8:8000:1::", "[2001:db8::]"]),
    IPV6.map(str),
    IPV6.map(lambda address: address.exploded),
    st.text("0123456789abcdef:.[]%", max_size=24),
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12),
)


class GeneratedTests(SynchronousTestCase):
    """Any table and any host: text and meaning agree."""

    @given(TABLES, st.lists(GENERATED_HOSTS, min_size=1, max_size=20))
    @settings(max_examples=100, deadline=None)
    def test_agreement(self, table, hosts):
        """The compiled text says what the table means, for any hosts."""
        find = run_in_quickjs(compile_pac(table))
        self.assertEqual([find(host) for host in hosts], [route(table, host) for host in hosts])

    @given(TABLES, st.lists(GENERATED_HOSTS, min_size=1, max_size=20))
    @settings(max_examples=60, deadline=None)
    def test_fail_closed(self, table, hosts):
        """A browser is sent past the proxy only where DIRECT stands alone; never as the last resort."""
        for host in hosts:
            ways = run_in_quickjs(compile_pac(table))(host)
            self.assertTrue(ways == DIRECT or "DIRECT" not in ways, ways)

    @given(st.text(max_size=40))
    @settings(max_examples=100, deadline=None)
    def test_entries(self, written):
        """Any entry is taken or refused with a sentence; what is taken compiles."""
        for read in (parse_direct, parse_proxy):
            try:
                read(written)
            except ValueError as error:
                self.assertTrue(str(error))
            else:
                proxy = written if read is parse_proxy else "p.example:1"
                direct = (written,) if read is parse_direct else ()
                run_in_quickjs(compile_pac(PacTable((proxy,), direct)))


@tabular
class EntryTests(SynchronousTestCase):
    """A bad entry is refused with words that say what to write."""

    @rows(
        empty=("", "write host:port"),
        no_port=("proxy.example", "write host and port"),
        port_zero=("proxy.example:0", "write host and port"),
        port_large=("proxy.example:65536", "write host and port"),
        uri=("http://proxy.example:3128/", "write host and port"),
        quote=('a";alert(1)//:3128', "write host and port"),
        user=("amir@proxy.example:3128", "write host and port"),
        direct=("DIRECT", "name a second proxy"),
        socks=("socks5 proxy.example:1080", "write host:port"),
        three_words=("https a b:1", "write host:port"),
        bare_ipv6=("2001:db8::1:3128", "write host and port"),
        bad_ipv6=("[2001:db8::1::2]:3128", "cannot be used"),
    )
    def test_proxy(self, written, told):
        """What names no proxy is told so."""
        with self.assertRaises(ValueError) as raised:
            PacTable((written,))
        self.assertIn(told, str(raised.exception))

    @rows(
        bits_behind=("10.0.0.1/8", "10.0.0.0/8"),
        prefix=("10.0.0.0/33", "no address or network"),
        octal=("010.0.0.1", "no address or network"),
        star=("*.hillside.example", "write 'hillside.example'"),
        empty=("", "cannot be used"),
        only_dot=(".", "no address or network"),
        uri=("http://intranet/", "no address or network"),
        quote=('a"', "cannot be used"),
        script=("</script>", "no address or network"),
        port=("intranet:80", "cannot be used"),
    )
    def test_direct(self, written, told):
        """What is neither name nor network is told so."""
        with self.assertRaises(ValueError) as raised:
            PacTable(("p.example:1",), (written,))
        self.assertIn(told, str(raised.exception))

    @rows(
        plain=("proxy.example:3128", "PROXY proxy.example:3128"),
        upper_case=("Proxy.Example:3128", "PROXY proxy.example:3128"),
        http=("http proxy.example:3128", "PROXY proxy.example:3128"),
        https=("https proxy.example:443", "HTTPS proxy.example:443"),
        ipv4=("192.0.2.1:3128", "PROXY 192.0.2.1:3128"),
        ipv6=("[2001:DB8::1]:3128", "PROXY [2001:db8::1]:3128"),
        umlaut=("müller.example:3128", "PROXY xn--mller-kva.example:3128"),
    )
    def test_proxy_form(self, written, expected):
        """A proxy is named in the one form that engines know."""
        self.assertEqual(parse_proxy(written), expected)

    def test_no_proxy(self):
        """A table without a proxy is refused: there would be nothing to answer."""
        with self.assertRaisesRegex(ValueError, "write at least one"):
            PacTable(())

    def test_repeated(self):
        """A proxy that is named twice is tried once."""
        self.assertEqual(PacTable(("a.b:1",), (), ("A.B:1", "c.d:1")).chain, ("PROXY a.b:1", "PROXY c.d:1"))


class TextTests(SynchronousTestCase):
    """The text itself."""

    def test_old_engines(self):
        """Nothing but ASCII and ECMAScript 3 is used, and nothing that asks a name server."""
        text = compile_pac(SCHOOL).decode("ascii")
        code = re.sub(r"//.*", "", text)
        self.assertNotRegex(
            code, r"\b(let|const|class)\b|=>|`|,\s*[}\]]|\.(trim|forEach|padStart|includes)\("
        )
        self.assertNotRegex(code, r"dnsResolve|isInNet|isResolvable|myIpAddress")

    def test_url_unread(self):
        """What the file answers does not depend on the path, which browsers hide."""
        body = compile_pac(SCHOOL).decode().partition("function FindProxyForURL(url, host)")[2]
        self.assertNotIn("url", body)

    def test_long_list(self):
        """Twenty thousand names are no burden to an engine: each host costs a look-up a label."""
        names = tuple(f"n{i}.example" for i in range(20_000))
        find = run_in_quickjs(compile_pac(PacTable(("p.example:1",), names)))
        self.assertEqual(find("a.b.n19999.example"), DIRECT)
        self.assertEqual(find("a.b.n20000.example"), ("PROXY p.example:1",))

    def test_too_long(self):
        """A list that no browser would load is refused when the policy is read."""
        names = tuple(f"{'n' * 50}{i}.example" for i in range(MAX_PAC_OCTETS // 60))
        with self.assertRaisesRegex(ValueError, "shorten direct"):
            compile_pac(PacTable(("p.example:1",), names))
