"""What the lines of category lists say, in each format, and which lines say nothing."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.entries import Kind, OddLine, own_entry
from corpproxy.destination.formats import FORMATS, LINE_READERS, recognise
from corpproxy.destination.sources import MAX_LINE_OCTETS, ODD_LINES_SHOWN, OddLines, read_lines
from corpproxy.destination.suffixes import public_suffixes
from tests.support.realdata import real_data
from tests.support.rows import rows, tabular

SUFFIXES = public_suffixes(
    """
// ===BEGIN ICANN DOMAINS===
com
uk
co.uk
*.ck
!www.ck
公司.cn
// ===END ICANN DOMAINS===
github.io
""".splitlines()
)


def texts(line: bytes | str, format: str) -> list[str]:
    """The texts of the entries of one line, or ``odd: `` and why."""
    odd = OddLines()
    octets = line if isinstance(line, bytes) else line.encode()
    said = [entry.text for entry in read_lines([octets], format, odd, "list", SUFFIXES)]
    return said or [f"odd: {seen.reason}" for seen in odd.first]


@tabular
class FormatTests(SynchronousTestCase):
    """Lines and what they say."""

    @rows(
        names_plain=("names", "example.com", "example.com"),
        names_case=("names", "  Example.COM.\r", "example.com"),
        names_comment_behind=("names", "example.com # games", "example.com"),
        names_wildcard=("names", "*.example.com", "example.com"),
        names_dot=("names", ".example.com", "example.com"),
        names_unicode=("names", "bücher.example.com", "xn--bcher-kva.example.com"),
        names_address=("names", "192.0.2.1", "192.0.2.1"),
        names_network=("names", "192.0.2.7/24", "192.0.2.0/24"),
        names_mapped_address=("names", "::ffff:192.0.2.1", "192.0.2.1"),
        names_company_suffix=("names", "github.io", "github.io"),
        names_exception=("names", "www.ck", "www.ck"),
        names_byte_order_mark=("names", "\ufeffexample.com", "example.com"),
        hosts_zero=("hosts", "0.0.0.0 example.com", "example.com"),
        hosts_loopback=(
            "hosts",
            "127.0.0.1\texample.com  www.example.com # ads",
            "example.com www.example.com",
        ),
        hosts_ipv6=("hosts", "::1 example.com", "example.com"),
        hosts_among_own=("hosts", "0.0.0.0 localhost example.com", "example.com"),
        adblock_name=("adblock", "||example.com^", "example.com"),
        adblock_bare=("adblock", "||example.com", "example.com"),
        adblock_important=("adblock", "||example.com^$important", "example.com"),
        adblock_path=("adblock", "||example.com/ads/", "example.com/ads/"),
        adblock_wildcard=("adblock", "||*.example.com^", "example.com"),
        dnsmasq_address=("dnsmasq", "address=/example.com/0.0.0.0", "example.com"),
        dnsmasq_server=("dnsmasq", "server=/example.com/", "example.com"),
        dnsmasq_local=("dnsmasq", "local=/example.com/", "example.com"),
        dnsmasq_several=("dnsmasq", "address=/a.example.com/b.example.com/#", "a.example.com b.example.com"),
        unbound_zone=("unbound", 'local-zone: "example.com" always_nxdomain', "example.com"),
        unbound_bare=("unbound", "local-zone: example.com. redirect", "example.com"),
        unbound_data=("unbound", 'local-data: "example.com. A 0.0.0.0"', "example.com"),
        addresses_ipv4=("addresses", "192.0.2.1", "192.0.2.1"),
        addresses_network=("addresses", "192.0.2.0/24 ; SBL1", "192.0.2.0/24"),
        addresses_ipv6=("addresses", "2001:DB8::/32", "2001:db8::/32"),
        urls_path=("urls", "example.com/Games/", "example.com/games/"),
        urls_scheme=("urls", "https://example.com:8080/a#b", "example.com/a"),
        urls_address=("urls", "192.0.2.1/~x", "192.0.2.1/~x"),
        urls_ipv6=("urls", "http://[2001:db8::1]/x", "[2001:db8::1]/x"),
        urls_query=("urls", "example.com?id=1", "example.com/?id=1"),
        urls_host=("urls", "example.com/", "example.com"),
        urls_escapes=("urls", "example.com/%7Ea/../b", "example.com/b"),
        expressions=("expressions", r"casino[0-9]+\.", r"casino[0-9]+\."),
    )
    def test_said(self, format: str, line: str, expected: str) -> None:
        """A line of a list says its entries in normal form."""
        self.assertEqual(texts(line, format), expected.split())

    @rows(
        names_comment=("names", "# example.com"),
        names_blank=("names", " \t\r"),
        hosts_comment=("hosts", "# 0.0.0.0 example.com"),
        hosts_localhost=("hosts", "127.0.0.1  localhost"),
        hosts_ipv6_names=("hosts", "fe80::1%lo0 localhost"),
        hosts_broadcast=("hosts", "255.255.255.255 broadcasthost"),
        hosts_zero=("hosts", "0.0.0.0 0.0.0.0"),
        adblock_comment=("adblock", "! Title: x"),
        adblock_head=("adblock", "[Adblock Plus 2.0]"),
        unbound_section=("unbound", "server:"),
        expressions_blank=("expressions", ""),
        latin_1_comment=("names", b"# \xe9t\xe9"),
    )
    def test_nothing(self, format: str, line: str | bytes) -> None:
        """Comments, blank lines and a machine's own names are no entries and not odd."""
        self.assertEqual(texts(line, format), [])

    @rows(
        top_level=("names", "com", "takes everything below"),
        single_word=("names", "intranet", "takes everything below"),
        single_character=("names", "x", "takes everything below"),
        country=("names", "co.uk", "takes everything below"),
        wildcard_suffix=("names", "*.co.ck", "takes everything below"),
        suffix_in_other_script=("names", "公司.cn", "takes everything below"),
        all_of_it=("names", "0.0.0.0/0", "too much of the Internet"),
        digit=("names", "0", "odd spelling"),
        odd_address=("names", "127.1", "odd spelling"),
        two_words=("names", "example.com games", "space"),
        mark_up=("names", "<html>", "character|everything"),
        percent=("names", "ex%61mple.com", "percent"),
        not_utf_8=("names", b"ex\xe9mple.com", "UTF-8"),
        too_long=("names", b"a" * (MAX_LINE_OCTETS + 1), "too long"),
        hosts_real=("hosts", "192.0.2.1 printer.example.com", "real address"),
        hosts_no_address=("hosts", "example.com", "no address"),
        hosts_country=("hosts", "0.0.0.0 co.uk", "takes everything below"),
        adblock_exception=("adblock", "@@||example.com^", "exception"),
        adblock_element=("adblock", "example.com##.ad", "only"),
        adblock_option=("adblock", "||example.com^$third-party", "only"),
        adblock_keyword=("adblock", "banner", "only"),
        dnsmasq_other=("dnsmasq", "cache-size=1000", "only"),
        dnsmasq_everything=("dnsmasq", "address=/#/0.0.0.0", "cannot|only"),
        unbound_transparent=("unbound", 'local-zone: "example.com" transparent', "blocks nothing"),
        addresses_name=("addresses", "example.com", "no address"),
        addresses_too_wide=("addresses", "2001::/8", "too much"),
        urls_suffix=("urls", "co.uk/path", "takes everything below"),
        urls_user=("urls", "http://a@example.com/x", "user name"),
        expressions_look_ahead=("expressions", "(?!a)bcd", "RE2"),
        expressions_back_reference=("expressions", r"(a)\1bc", "RE2"),
        expressions_too_short=("expressions", "0", "by accident"),
        expressions_everything=("expressions", "^.*$", "fits everything"),
        expressions_open=("expressions", "(abc", "RE2"),
        expressions_huge=("expressions", "a{1,1000}{1,1000}", "RE2"),
    )
    def test_odd(self, format: str, line: str | bytes, why: str) -> None:
        """A line that says nothing usable, or too much, is odd, with the reason."""
        (said,) = texts(line, format)
        self.assertRegex(said, f"odd: .*({why})")

    @rows(
        names=("names", "# list\nexample.com\nwww.example.org # x\n"),
        names_with_addresses=("names", "192.0.2.1\n192.0.2.2\n192.0.2.3\nexample.com\n"),
        wildcards=("names", "*.example.com\n*.example.org\n"),
        hosts=("hosts", "# hosts\n127.0.0.1 localhost\n::1 localhost\n0.0.0.0 example.com\n"),
        adblock=("adblock", "[Adblock Plus]\n! x\n||example.com^\n||example.org^$third-party\n"),
        dnsmasq=("dnsmasq", "address=/example.com/0.0.0.0\nserver=/example.org/\n"),
        unbound=("unbound", 'server:\nlocal-zone: "example.com" refuse\nlocal-zone: "b.example" refuse\n'),
        addresses=("addresses", "; SBL\n192.0.2.0/24 ; SBL1\n2001:db8::/32\n"),
        urls=("urls", "example.com/a\nhttp://example.com/b\n"),
        nothing=("names", "# only comments\n\n"),
    )
    def test_recognised(self, format: str, text: str) -> None:
        """A format is recognised by what most lines look like."""
        self.assertEqual(recognise(text.splitlines()), format)

    def test_first_odd_lines(self) -> None:
        """All odd lines are counted and the first ten kept, with their numbers and printable text."""
        odd = OddLines()
        lines = [b"example.com", *(b"b\x1b[31mad %d" % number for number in range(25))]
        list(read_lines(lines, "names", odd, "lists/a", SUFFIXES))
        self.assertEqual((odd.count, len(odd.first)), (25, ODD_LINES_SHOWN))
        first = odd.first[0].problem
        self.assertEqual((str(first.place), first.severity), ("lists/a:2", "hint"))
        self.assertIn("b\ufffd[31mad 0", first.message)


@tabular
class OwnEntryTests(SynchronousTestCase):
    """Entries that the policy has itself."""

    @rows(
        name=("chess.com", (Kind.NAME, "chess.com")),
        wildcard=("*.chess.com", (Kind.NAME, "chess.com")),
        word=("intranet", (Kind.NAME, "intranet")),
        suffix=("ac.uk", (Kind.NAME, "ac.uk")),
        address=("192.0.2.1", (Kind.NETWORK, "192.0.2.1")),
        ipv6=("[2001:db8::1]", (Kind.NETWORK, "2001:db8::1")),
        network=("10.0.0.0/8", (Kind.NETWORK, "10.0.0.0/8")),
        wide=("0.0.0.0/0", (Kind.NETWORK, "0.0.0.0/0")),
        url=("intranet/wiki/", (Kind.URL, "intranet/wiki/")),
        url_with_scheme=("http://example.com/Wiki", (Kind.URL, "example.com/wiki")),
    )
    def test_read(self, written: str, expected: tuple[Kind, str]) -> None:
        """What the site says itself is taken as it is meant, suffixes too."""
        self.assertEqual(own_entry(written), expected)

    @rows(
        empty=(" ",),
        space=("a b",),
        percent=("a%b",),
        odd_address=("127.1",),
        long=("a" * 64,),
        user=("u@a.example/x",),
    )
    def test_refused(self, written: str) -> None:
        """What cannot be read is refused with the reason."""
        self.assertTrue(str(self.assertRaises(OddLine, own_entry, written)))


LINES = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.text("|^/*.#=:@!$%[] \t\r0x9axn-ü\u0661", max_size=40).map(str.encode),
        st.sampled_from(
            [
                b"||a.example^",
                b"address=/a.example/",
                b"local-zone: a.example x",
                b"0.0.0.0 a.example",
                b"a.example/b",
            ]
        ),
    ),
    max_size=8,
)


class AnyLinesTests(SynchronousTestCase):
    """Whatever a list contains."""

    @given(st.sampled_from(sorted(LINE_READERS)), LINES)
    def test_no_line_raises(self, format: str, lines: list[bytes]) -> None:
        """Any octets in any format give entries or odd lines, never an exception."""
        odd = OddLines()
        for entry in read_lines(lines, format, odd, "list", SUFFIXES):
            self.assertTrue(entry.text)
        self.assertLessEqual(odd.count, len(lines))

    @given(LINES)
    def test_recognised(self, lines: list[bytes]) -> None:
        """Any lines are recognised as something."""
        self.assertIn(recognise(line.decode("utf-8", "replace") for line in lines), LINE_READERS)

    @given(st.text(max_size=40))
    def test_own(self, written: str) -> None:
        """Any text is an own entry or an OddLine."""
        try:
            own_entry(written)
        except OddLine as odd:
            self.assertTrue(str(odd))


@tabular
class RealListTests(SynchronousTestCase):
    """Lists that are in use."""

    @rows(
        adaway=("lists/adaway-hosts.txt", "hosts", 6540, 0),
        gfwlist=("lists/gfwlist.decoded.txt", "adblock", 3900, 400),
        stevenblack=("lists/stevenblack-domains-2022.txt.gz", "names", 140_600, 10),
        redirectors=("lists/ut1-redirector-ips.txt.gz", "addresses", 22_530, 0),
        gambling=("ut1/plain/gambling/domains", "names", 20_000, 5),
        malware_urls=("ut1/plain/malware/urls.gz", "urls", 3_000, 40),
    )
    def test_read(self, name: str, format: str, at_least: int, odd_at_most: int) -> None:
        """A real list is recognised, and nearly all its lines are read."""
        path = real_data(name)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            lines = file.read().split(b"\n")
        self.assertEqual(recognise(line.decode("utf-8", "replace") for line in lines[:400]), format)
        odd = OddLines()
        count = sum(1 for _ in read_lines(lines, format, odd, name, SUFFIXES))
        self.assertGreaterEqual(count, at_least)
        self.assertLessEqual(odd.count, odd_at_most)


class ManualTests(SynchronousTestCase):
    """The manual and the program say the same."""

    def test_formats(self) -> None:
        """Every format stands in the reference, and no other."""
        page = Path(__file__).parents[2] / "docs" / "reference" / "list-formats.rst"
        rows = re.findall(r"^   \* - ``(\w+)``$", page.read_text(), re.MULTILINE)
        self.assertEqual(sorted(rows), sorted(FORMATS))
