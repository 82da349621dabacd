"""Hosts have one normal form, and what could be read in two ways is refused."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from unittest import SkipTest

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination import host as module
from corpproxy.destination.host import normal_host, parse_authority
from corpproxy.errors import ProtocolError
from tests.support.realdata import real_data
from tests.support.rows import rows, tabular


def outcome(written: bytes | str) -> str:
    """The normal form of a host, or ``refused``."""
    try:
        return normal_host(written).name
    except ProtocolError:
        return "refused"


@tabular
class NormalHostTests(SynchronousTestCase):
    """What becomes of a host as it was written."""

    @rows(
        plain=(b"example.com", "example.com"),
        case=(b"EXAMPLE.Com", "example.com"),
        trailing_dot=(b"example.com.", "example.com"),
        one_label=(b"intranet", "intranet"),
        underscore=(b"_dmarc.ex_ample.com", "_dmarc.ex_ample.com"),
        hyphens_at_the_ends=(b"-some-blog-.tumblr.com", "-some-blog-.tumblr.com"),
        hyphens_third_and_fourth=(b"r3---sn-4g5e.googlevideo.com", "r3---sn-4g5e.googlevideo.com"),
        digits_first=(b"1e100.net", "1e100.net"),
        hexadecimal_but_name=(b"0xabc.com", "0xabc.com"),
        label_of_63=(b"a" * 63 + b".com", "a" * 63 + ".com"),
        name_of_253=(b".".join([b"a" * 62] * 4) + b".x", ".".join(["a" * 62] * 4) + ".x"),
    )
    def test_name(self, written: bytes, name: str) -> None:
        """Ordinary names become lower case and lose one trailing dot; they name no address."""
        host = normal_host(written)
        self.assertEqual((host.name, host.address), (name, None))
        self.assertIn(module.ordinary_name(written.decode()), (name, None))

    @rows(
        sharp_s=("faß.de", "xn--fa-hia.de"),
        upper_umlaut=("MÜNCHEN.de", "xn--mnchen-3ya.de"),
        combining=("mu\u0308nchen.de", "xn--mnchen-3ya.de"),
        emoji=("i❤.ws", "xn--i-7iq.ws"),
        a_label=("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        a_label_upper=("XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de"),
        emoji_a_label=("xn--i-7iq.ws", "xn--i-7iq.ws"),
        ideographic_stop=("example。com", "example.com"),
        full_width=("ｅｘａｍｐｌｅ.com", "example.com"),
        soft_hyphen=("exa\u00admple.com", "example.com"),
        hebrew=("אב.example", "xn--4dbc.example"),
        trailing_stop=("münchen.de。", "xn--mnchen-3ya.de"),
    )
    def test_international(self, written: str, name: str) -> None:
        """Names in other scripts become A-labels as browsers make them, without the transitional mapping."""
        self.assertEqual(outcome(written), name)
        self.assertEqual(outcome(written.encode()), name)

    @rows(
        dotted=("192.0.2.1", "192.0.2.1"),
        trailing_dot=("192.0.2.1.", "192.0.2.1"),
        hexadecimal=("0x7f.1", "127.0.0.1"),
        one_number=("2130706433", "127.0.0.1"),
        two_parts=("127.1", "127.0.0.1"),
        three_parts=("192.168.257", "192.168.1.1"),
        octal=("017700000001", "127.0.0.1"),
        octal_part=("0300.0250.01.1", "192.168.1.1"),
        bare_prefix=("0x", "0.0.0.0"),
        full_width=("１２７．０．０．１", "127.0.0.1"),
        circled=("①②⑦.0.0.1", "127.0.0.1"),
        upper=("0X7F.1", "127.0.0.1"),
        many_zeros=("0" * 60 + "1.0.0.1", "1.0.0.1"),
    )
    def test_ipv4(self, written: str, name: str) -> None:
        """Odd spellings of IPv4 addresses become dotted decimal, as a browser reads them."""
        host = normal_host(written)
        self.assertEqual((host.name, str(host.address)), (name, name))

    @rows(
        loopback=(b"[::1]", "::1"),
        bare=(b"2001:db8::1", "2001:db8::1"),
        zeros=(b"[2001:0DB8:0:0:0:0:0:1]", "2001:db8::1"),
        longest_run=(b"[2001:db8:0:0:1:0:0:0]", "2001:db8:0:0:1::"),
        mapped=(b"[::ffff:127.0.0.1]", "127.0.0.1"),
        mapped_hexadecimal=(b"[::FFFF:7f00:1]", "127.0.0.1"),
        nat64=(b"[64:ff9b::192.0.2.1]", "64:ff9b::c000:201"),
    )
    def test_ipv6(self, written: bytes, name: str) -> None:
        """IPv6 addresses have the form of RFC 5952; a mapped IPv4 address is that IPv4 address."""
        host = normal_host(written)
        self.assertEqual((host.name, str(host.address)), (name, name))

    @rows(
        empty=(b"", "empty"),
        dot=(b".", "empty label"),
        leading_dot=(b".example.com", "empty label"),
        two_dots=(b"example..com", "empty label"),
        two_trailing_dots=(b"example.com..", "empty label"),
        long_label=(b"a" * 64 + b".com", "too long"),
        long_name=(b".".join([b"a" * 60] * 5), "too long"),
        very_long=(b"a." * 100_000, "too long"),
        percent=(b"ex%61mple.com", "percent"),
        full_width_percent=("ex％61mple.com".encode(), "percent"),
        user=(b"user@example.com", "user name"),
        backslash=(b"example.com\\@evil.example", "backslash"),
        slash=(b"example.com/", "slash"),
        fraction_slash=("example.com℀.de".encode(), "slash"),
        space=(b"example .com", "space"),
        tab=(b"exam\tple.com", "control"),
        nul=(b"example.com\x00.evil", "control"),
        delete=(b"example\x7f.com", "control"),
        port=(b"example.com:80", "colon"),
        exclamation=(b"example!.com", "character"),
        not_utf_8=(b"ex\xffmple.com", "UTF-8"),
        surrogate=("ex\ud800mple.com", "half a character"),
        not_assigned=("ex\u0378mple.com", "UTS 46"),
        joiner=("a\u200db.com", "joiner"),
        bidi=("0א.example", "UTS 46"),
        combining_first=("\u0308a.com", "UTS 46"),
        empty_a_label=(b"xn--.com", "xn--"),
        ascii_a_label=(b"xn--abc-.com", "xn--abc-"),
        mapped_a_label=(b"xn--" + "mÜnchen".encode("punycode") + b".de", "another script"),
        bad_punycode=(b"xn--a.com", "UTS 46"),
        non_ascii_a_label=("xn--ü.de", "xn--"),
        five_parts=(b"1.2.3.4.5", "more than four"),
        too_large=(b"1.2.3.256", "too large"),
        too_large_first=(b"256.1.1.1", "too large"),
        too_large_number=(b"4294967296", "too large"),
        endless_number=(b"9" * 62, "IPv4"),
        name_before_number=(b"example.1", "IPv4"),
        not_octal=(b"09.1.1.1", "IPv4"),
        zone=(b"[fe80::1%25eth0]", "zone"),
        bare_zone=(b"fe80::1%eth0", "zone"),
        open_bracket=(b"[::1", "closing bracket"),
        text_behind_bracket=(b"[::1]a", "closing bracket"),
        name_in_brackets=(b"[example.com]", "no IPv6"),
        empty_brackets=(b"[]", "no IPv6"),
        future=(b"[v1.fe80]", "no IPv6"),
    )
    def test_refused(self, written: bytes | str, why: str) -> None:
        """What has no reading, or two, is refused with 400 and the reason."""
        error = self.assertRaises(ProtocolError, normal_host, written)
        self.assertEqual((error.code, error.status), ("bad-host", 400))
        self.assertRegex(error.message, why)

    @rows(
        plain=("Example.COM", "example.com"),
        dot=("example.com.", None),
        address=("127.0.0.1", None),
        hexadecimal=("0x7f", None),
        a_label=("xn--mnchen-3ya.de", None),
        empty=("", None),
        newline=("example.com\n", None),
        long=("a." * 127 + "aa", None),
    )
    def test_ordinary(self, written: str, expected: str | None) -> None:
        """Names with nothing odd about them are told from those that must be looked at closely."""
        self.assertEqual(module.ordinary_name(written), expected)

    def test_remembered(self) -> None:
        """Hosts that have to be looked at are remembered as they were written, and the memory is bounded."""
        self.patch(module, "MAX_REMEMBERED", 10)
        self.patch(module, "_remembered", {})
        first = normal_host("bücher.example".encode())
        self.assertIs(normal_host("bücher.example".encode()), first)
        self.assertIs(normal_host("bücher.example"), first)
        for i in range(100):
            normal_host(f"h{i}.example.")
            self.assertLessEqual(len(module._remembered), 10)


@tabular
class AuthorityTests(SynchronousTestCase):
    """The target of CONNECT: a host and a port."""

    @rows(
        name=(b"Example.com:443", ("example.com", 443)),
        ipv4=(b"192.0.2.1:80", ("192.0.2.1", 80)),
        ipv6=(b"[2001:db8::1]:8443", ("2001:db8::1", 8443)),
        highest=(b"example.com:65535", ("example.com", 65535)),
    )
    def test_parse(self, written: bytes, expected: tuple[str, int]) -> None:
        """An authority names a host and a port."""
        host, port = parse_authority(written)
        self.assertEqual((host.name, port), expected)

    @rows(
        no_port=(b"example.com", "bad-port"),
        empty_port=(b"example.com:", "bad-port"),
        zero=(b"example.com:0", "bad-port"),
        too_large=(b"example.com:65536", "bad-port"),
        long=(b"example.com:000443", "bad-port"),
        sign=(b"example.com:+443", "bad-port"),
        space=(b"example.com: 443", "bad-port"),
        newline=(b"example.com:443\n", "bad-port"),
        other_digits=("example.com:４４３".encode(), "bad-port"),
        two=(b"example.com:443:443", "bad-port"),
        bare_ipv6=(b"::1:443", "bad-port"),
        empty=(b"", "bad-port"),
        no_host=(b":443", "bad-host"),
        user=(b"u@example.com:443", "bad-host"),
    )
    def test_refused(self, written: bytes, code: str) -> None:
        """Anything else is refused: CONNECT has no default port."""
        self.assertEqual(self.assertRaises(ProtocolError, parse_authority, written).code, code)


SOME_OCTETS = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=40).map(lambda text: text.encode(errors="surrogatepass")),
    st.text("xn-.0123456789abcdefß[]:%。١", max_size=30).map(str.encode),
)


class AnyOctetsTests(SynchronousTestCase):
    """Whatever a client sends as a host."""

    @given(SOME_OCTETS)
    @example(b"xn--" + b"9" * 50)
    @example(b"xn--99999999")
    def test_form_is_stable(self, written: bytes) -> None:
        """Any octets are a host or a ProtocolError, and a normal form is its own normal form."""
        try:
            host = module._normal(written)
        except ProtocolError as error:
            self.assertEqual(error.status, 400)
            return
        self.assertEqual(module._normal(host.name.encode()), host)
        text = written.decode()
        self.assertIn(module.ordinary_name(text), (None, host.name))
        self.assertRegex(host.name, r"\A[a-z0-9_.:-]+\Z")

    @given(SOME_OCTETS)
    def test_authority(self, written: bytes) -> None:
        """Any octets are an authority or a ProtocolError."""
        try:
            _, port = parse_authority(written)
        except ProtocolError:
            return
        self.assertTrue(1 <= port <= 65535)

    @given(SOME_OCTETS)
    def test_as_browsers_read_it(self, written: bytes) -> None:
        """What we accept, a browser's reader (ada) accepts too, and reads the same."""
        try:
            import can_ada
        except ImportError as error:
            raise SkipTest("can_ada, a browser's URL reader, is not installed") from error
        try:
            host = module._normal(written)
        except ProtocolError:
            return
        if b":" in written and written[:1] != b"[":
            return  # bare IPv6 is no part of a URI
        uri = f"http://{written.decode()}/"
        if not written.isascii() and not can_ada.can_parse(uri):
            return  # its tables are of another version of Unicode
        parsed = can_ada.parse(uri).hostname.removesuffix(".")
        if parsed.startswith("[::ffff:"):
            return  # we go on to the IPv4 address in it
        self.assertEqual(host.uri_host, parsed)


def vectors() -> Iterator[tuple[str, str, frozenset[str]]]:
    """The source, the A-label form and the faults of each UTS 46 conformance case."""
    unescape = re.compile(r"\\u([0-9A-F]{4})|\\x\{([0-9A-F]+)\}")
    with gzip.open(real_data("psl/IdnaTestV2.txt.gz"), "rt", encoding="utf-8") as lines:
        for line in lines:
            columns = [column.strip() for column in line.split("#")[0].split(";")]
            if len(columns) < 7:
                continue
            columns = [unescape.sub(lambda m: chr(int(m[1] or m[2], 16)), column) for column in columns]
            source, unicode, unicode_faults, ascii_form, ascii_faults = columns[:5]
            faults = ascii_faults or unicode_faults
            form = ascii_form or unicode or source
            yield source, form, frozenset(re.findall(r"[A-Z]\d(?:_\d)?", faults))


class ConformanceTests(SynchronousTestCase):
    """The conformance cases of UTS 46."""

    # Hyphens anywhere are in use (V2, V3); the empty last label of a trailing dot is no fault here (A4_2).
    LENIENT = frozenset({"V2", "V3"})
    # Not allowed when the cases were written; later versions of Unicode gave some of these a meaning.
    UNKNOWN_THEN = frozenset({"P1", "V6"})

    def test_vectors(self) -> None:
        """Each case has the A-label form that the standard says, or is refused where it says so."""
        wrong, later, count = [], 0, 0
        for source, form, faults in vectors():
            ours = outcome(source)
            count += 1
            if re.search(r"(\A|\.)[0-9]+\.?\Z", form):
                continue  # an IPv4 address, or none: rows above
            if ours in self.expected(form, faults - self.LENIENT):
                continue
            if ours != "refused" and faults - self.LENIENT <= self.UNKNOWN_THEN:
                later += 1
            else:
                wrong.append((source, ours, form, sorted(faults)))
        self.assertEqual(wrong, [])
        self.assertGreater(count, 6000)
        self.assertLess(later, 200)

    def expected(self, form: str, faults: frozenset[str]) -> set[str]:
        """What our normal form may be, where the standard says this form and these faults."""
        if faults == {"A4_2"}:
            return {"refused", form.removesuffix(".")}
        if faults or not re.fullmatch(r"[a-z0-9_.-]+", form):
            return {"refused"}
        return {form.removesuffix(".")}
