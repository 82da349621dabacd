"""The index finds every entry that covers a host, names the list behind it, and refuses damaged octets."""

from __future__ import annotations

import zlib
from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination import index_build as module
from corpproxy.destination.entries import Entry, Kind, own_entry
from corpproxy.destination.host import normal_host
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_build import IndexBuilder, small_index
from corpproxy.destination.index_file import BadIndex, decode_index
from corpproxy.destination.index_meta import MISSING, READ, ListReport, Membership
from corpproxy.destination.keys import entry_key, host_key, key_text
from tests.support.rows import rows, tabular

LISTS: dict[str, dict[str, list[str]]] = {
    "ut1": {
        "games": ["chess.com", "play.example", "example.com/news", "10.0.0.0/8", "2001:db8::/32"],
        "ads": ["play.example", "ads.play.example", "10.1.2.3", "192.0.2.1/~joe"],
    },
    "mine": {"games": ["chess.com"], "travel": ["xn--mnchen-3ya.de", "deep.a.b.c.example"]},
}
EXPRESSIONS = {"ut1": {"games": [r"casino[0-9]"], "search": [r"^search\.example/find\?q="]}}


def index_of(
    lists: dict[str, dict[str, list[str]]], expressions: dict[str, dict[str, list[str]]] | None = None
) -> CategoryIndex:
    """An index of lists, given by name and category."""
    return CategoryIndex(memoryview(octets_of(lists, expressions)))


def octets_of(
    lists: dict[str, dict[str, list[str]]], expressions: dict[str, dict[str, list[str]]] | None = None
) -> bytes:
    """The octets of an index of lists."""
    builder = IndexBuilder()
    for name, categories in lists.items():
        for category, entries in categories.items():
            members = builder.members(Membership(name, category))
            for entry in entries:
                builder.add(members, own_entry(entry))
        for category, written in (expressions or {}).get(name, {}).items():
            for one in written:
                builder.add(builder.members(Membership(name, category)), Entry(Kind.EXPRESSION, one))
    pieces, _ = builder.finish([ListReport(name, "names", READ, version="v1") for name in lists], 1.0)
    return b"".join(pieces)


@tabular
class LookUpTests(SynchronousTestCase):
    """Hosts and what the index says of them."""

    def setUp(self) -> None:
        self.index = index_of(LISTS, EXPRESSIONS)

    def said(self, host: str, path: str = "") -> str:
        found = self.index.categories(normal_host(host), path)
        return " ".join(f"{match.category}:{match.list}:{match.entry}" for match in found)

    @rows(
        itself=("chess.com", "", "games:mine:chess.com games:ut1:chess.com"),
        below=("www.Chess.com.", "", "games:mine:chess.com games:ut1:chess.com"),
        far_below=("a.b.c.chess.com", "", "games:mine:chess.com games:ut1:chess.com"),
        part_of_a_label=("xchess.com", "", ""),
        above=("com", "", ""),
        behind=("chess.com.example", "", ""),
        closest=("x.ads.play.example", "", "ads:ut1:ads.play.example games:ut1:play.example"),
        both_categories=("play.example", "", "ads:ut1:play.example games:ut1:play.example"),
        other_script=("www.münchen.de", "", "travel:mine:xn--mnchen-3ya.de"),
        between=("c.example", "", ""),
        address_in_network=("10.9.9.9", "", "games:ut1:10.0.0.0/8"),
        address_itself=("10.1.2.3", "", "ads:ut1:10.1.2.3 games:ut1:10.0.0.0/8"),
        odd_spelling=("0xa.0x010203", "", "ads:ut1:10.1.2.3 games:ut1:10.0.0.0/8"),
        mapped=("[::ffff:10.1.2.3]", "", "ads:ut1:10.1.2.3 games:ut1:10.0.0.0/8"),
        other_address=("11.0.0.1", "", ""),
        ipv6=("[2001:db8:1::1]", "", "games:ut1:2001:db8::/32"),
        other_ipv6=("[2001:db9::1]", "", ""),
        url=("example.com", "/news/today", "games:ut1:example.com/news"),
        url_below=("www.example.com", "/news?id=1", "games:ut1:example.com/news"),
        url_other_spelling=("example.com", "/%6Eews/../NEWS/./x", "games:ut1:example.com/news"),
        url_longer_word=("example.com", "/newsletter", ""),
        url_in_a_tunnel=("example.com", "", ""),
        url_on_address=("192.0.2.1", "/~joe/x", "ads:ut1:192.0.2.1/~joe"),
        url_and_name=("play.example", "/news", "ads:ut1:play.example games:ut1:play.example"),
        expression_in_host=("www.Casino7.example", "", "games:ut1:casino[0-9]"),
        expression_in_path=("a.example", "/CASINO9/", "games:ut1:casino[0-9]"),
        expression_of_both=("search.example", "/find?q=x", r"search:ut1:^search\.example/find\?q="),
        expression_elsewhere=("a.search.example", "/find?q=x", ""),
        nothing=("bbc.co.uk", "/news", ""),
    )
    def test_found(self, host: str, path: str, expected: str) -> None:
        """A host has the categories of all entries that cover it, each with list and closest entry."""
        self.assertEqual(self.said(host, path), expected)

    def test_what_it_says_of_itself(self) -> None:
        """The index counts entries by category and knows its categories and versions."""
        report = self.index.report("ut1")
        assert report is not None
        self.assertEqual(report.entries, {"games": 6, "ads": 4, "search": 1})
        self.assertEqual(self.index.known_categories, {"games", "ads", "travel", "search"})
        self.assertEqual(self.index.versions, {"ut1": "v1", "mine": "v1"})
        self.assertIsNone(self.index.report("other"))

    def test_entries_of_a_list(self) -> None:
        """The entries of one list can be taken out again, to be kept when the list breaks."""
        said = sorted((category, key_text(key)) for category, key in self.index.entries_of("mine"))
        self.assertEqual(
            said, [("games", "chess.com"), ("travel", "deep.a.b.c.example"), ("travel", "xn--mnchen-3ya.de")]
        )
        self.assertEqual(
            list(self.index.expressions_of("ut1")),
            [("games", "casino[0-9]"), ("search", EXPRESSIONS["ut1"]["search"][0])],
        )

    def test_no_entries(self) -> None:
        """An index without entries finds nothing."""
        empty = index_of({"a": {}})
        self.assertEqual(empty.categories(normal_host("example.com"), "/x"), ())
        self.assertEqual(empty.categories(normal_host("10.0.0.1"), "/x"), ())


class BuildTests(SynchronousTestCase):
    """Building: sets, repeats, forgetting."""

    def test_repeated(self) -> None:
        """An entry that stands in a list twice is one entry, in as many categories as it is in."""
        index = small_index({"a": [own_entry("x.example")] * 3, "b": [own_entry("x.example")]}, "own")
        self.assertEqual([match.category for match in index.categories(normal_host("x.example"))], ["a", "b"])
        self.assertEqual(index.meta.lists[0].entries, {"a": 1, "b": 1})

    def test_forgotten(self) -> None:
        """What was read of a list that breaks halfway can be dropped, and nothing else."""
        builder = IndexBuilder()
        for name in ("good", "bad"):
            members = builder.members(Membership(name, "games"))
            builder.add(members, own_entry(f"{name}.example"))
            builder.add(members, Entry(Kind.EXPRESSION, f"{name}-word"))
        builder.forget("bad")
        index = CategoryIndex(
            memoryview(b"".join(builder.finish([ListReport("good", "names", READ)], 0.0)[0]))
        )
        self.assertEqual(index.categories(normal_host("bad.example"), "/bad-word"), ())
        self.assertTrue(index.categories(normal_host("good.example")))

    def test_many_sets(self) -> None:
        """More sets of categories than short numbers can count are no limit."""
        self.patch(module, "SHORT_NUMBERS", 16)
        categories = {
            f"c{bit}": [own_entry(f"n{number}.example") for number in range(300) if number >> bit & 1]
            for bit in range(9)
        }
        index = small_index(categories, "own")
        for number in range(300):
            found = {match.category for match in index.categories(normal_host(f"n{number}.example"))}
            self.assertEqual(found, {f"c{bit}" for bit in range(9) if number >> bit & 1})

    def test_missing_list(self) -> None:
        """A list that is missing has no version."""
        pieces, _ = IndexBuilder().finish([ListReport("gone", "names", MISSING, problem="gone")], 0.0)
        self.assertEqual(CategoryIndex(memoryview(b"".join(pieces))).versions, {})


NAMES = st.from_regex(r"[a-z0-9-]{1,3}(\.[a-z0-9-]{1,3}){0,3}\.(example|com)", fullmatch=True)


class PropertyTests(SynchronousTestCase):
    """The index agrees with the plain meaning of an entry."""

    @given(st.lists(NAMES, max_size=12), NAMES)
    def test_names(self, listed: list[str], asked: str) -> None:
        """A name is found exactly when it or a name above it is listed, by the closest."""
        index = small_index({"games": [own_entry(name) for name in listed]}, "own")
        covering = [name for name in listed if f".{asked}".endswith(f".{name}")]
        found = [match.entry for match in index.categories(normal_host(asked))]
        self.assertEqual(found, [max(covering, key=len)] if covering else [])

    @given(
        st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), max_size=6),
        st.integers(0, 32),
        st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)),
    )
    def test_networks(self, listed: list[object], length: int, asked: object) -> None:
        """An address is found exactly when a listed network contains it."""
        networks = [ip_network(f"{one}/{length}", strict=False) for one in listed]
        for address in (asked, *(network[0] for network in networks)):
            host = normal_host(str(address))
            index = small_index({"a": [own_entry(str(network)) for network in networks]}, "own")
            assert host.address is not None
            expected = any(host.address in network for network in networks)
            self.assertEqual(bool(index.categories(host)), expected)

    @given(
        st.one_of(
            NAMES, st.ip_addresses().map(str), st.builds("{}/{}".format, NAMES, st.text("ab/?=", min_size=1))
        )
    )
    def test_keys(self, written: str) -> None:
        """A key gives back the entry it was made of, and keys of names, networks and URLs do not meet."""
        entry = own_entry(written)
        key = entry_key(entry)
        self.assertEqual(key_text(key), entry.text)
        self.assertEqual(
            {Kind.NETWORK: ":", Kind.URL: "/"}.get(entry.kind, ""), key[:1] if key[0] in ":/" else ""
        )

    def test_host_key(self) -> None:
        """The key of a host begins with the key of what covers it."""
        self.assertTrue(
            host_key(normal_host("www.example.com")).startswith(entry_key(own_entry("example.com")))
        )
        self.assertTrue(host_key(normal_host("10.1.2.3")).startswith(entry_key(own_entry("10.0.0.0/8"))))


@tabular
class DamageTests(SynchronousTestCase):
    """Octets that are no index, or not ours any more."""

    octets = octets_of(LISTS, EXPRESSIONS)

    @rows(
        empty=(b"", "no index"),
        other=(b"<html>" * 100, "no index"),
        head_alone=(octets[:40], "no index"),
        cut=(octets[:-1], "octets"),
        longer=(octets + b"x", "octets"),
        version=(octets[:16] + b"\x63\0\0\0" + octets[20:], "version"),
        flipped=(octets[:100] + bytes([octets[100] ^ 1]) + octets[101:], "checksum"),
        zeros=(octets[:64] + bytes(len(octets) - 64), "checksum"),
    )
    def test_refused(self, octets: bytes, why: str) -> None:
        """Damaged octets are refused with the reason."""
        self.assertIn(why, str(self.assertRaises(BadIndex, CategoryIndex, memoryview(octets))))

    def test_sound_checksum_only(self) -> None:
        """Parts that do not belong together are refused even when the checksum is right."""
        body = self.octets[64:].replace(b'"memberships":[[', b'"memberships":{[')
        octets = self.octets[:20] + zlib.crc32(body).to_bytes(4, "little") + self.octets[24:64] + body
        self.assertRaises(BadIndex, decode_index, memoryview(octets))

    @given(st.data())
    def test_any_damage(self, data: st.DataObject) -> None:
        """Any changed octet is noticed."""
        place = data.draw(st.integers(0, len(self.octets) - 1))
        octets = bytearray(self.octets)
        octets[place] ^= data.draw(st.integers(1, 255))
        try:
            index = CategoryIndex(memoryview(bytes(octets)))
        except BadIndex:
            return
        # Only the padding of the header means nothing.
        self.assertLess(place, 64)
        self.assertTrue(index.categories(normal_host("chess.com")))
