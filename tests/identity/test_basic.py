"""Basic credentials, as clients really send them and as they never should."""

from __future__ import annotations

import unicodedata
from base64 import b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.basic import (
    MAX_CREDENTIALS_OCTETS,
    BadCredentials,
    Credentials,
    challenge,
    parse_basic,
)
from tests.support.rows import rows, tabular


def basic(octets: bytes, scheme: bytes = b"Basic ") -> bytes:
    return scheme + b64encode(octets)


@tabular
class ParseTests(SynchronousTestCase):
    """What a Proxy-Authorization field says."""

    @rows(
        rfc=(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"),
        rfc_utf8=(b"Basic dGVzdDoxMjPCow==", "test", "123\u00a3"),
        scheme_lower=(basic(b"amir:secret", b"basic "), "amir", "secret"),
        scheme_upper=(basic(b"amir:secret", b"BASIC "), "amir", "secret"),
        more_spaces=(basic(b"amir:secret", b"Basic   ") + b" ", "amir", "secret"),
        colons=(basic(b"amir:se:cr:et"), "amir", "se:cr:et"),
        case_is_kept=(basic(b"Amir:Secret"), "Amir", "Secret"),
        utf8_name=(basic("jürgen:straße".encode()), "jürgen", "straße"),
        decomposed=(basic("ju\u0308rgen:e\u0301".encode()), "jürgen", "é"),
        latin1=(basic("jürgen:straße".encode("latin-1")), "jürgen", "straße"),
        odd_password=(basic(b"amir:@%?/#[]\\\"'& =+"), "amir", "@%?/#[]\\\"'& =+"),
        domain_name=(basic(b"SCHOOL\\amir:secret"), "SCHOOL\\amir", "secret"),
    )
    def test_read(self, value, name, password):
        """What browsers and tools send becomes a name and a password."""
        self.assertEqual(parse_basic(value), Credentials(name, password))

    @rows(
        nothing=(b"", "unknown-scheme"),
        other_scheme=(b"Bearer abc", "unknown-scheme"),
        ntlm=(b"NTLM TlRMTVNTUAAB", "unknown-scheme"),
        scheme_only=(b"Basic", "no-colon"),
        tab_for_space=(basic(b"amir:secret", b"Basic\t"), "unknown-scheme"),
        no_colon=(basic(b"amir"), "no-colon"),
        no_name=(basic(b":secret"), "empty-credentials"),
        no_password=(basic(b"amir:"), "empty-credentials"),
        not_base64=(b"Basic !!!!", "bad-base64"),
        padding_missing=(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", "bad-base64"),
        padding_inside=(b"Basic QQ==QWxh", "bad-base64"),
        stray_bits=(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==", "bad-base64"),
        space_inside=(b"Basic QWxh ZGRp", "bad-base64"),
        url_alphabet=(b"Basic " + b64encode(b"a:\xff\xff\xff").replace(b"/", b"_"), "bad-base64"),
        line_end=(basic(b"amir:sec\nret"), "control-characters"),
        nul_in_name=(basic(b"am\x00ir:secret"), "control-characters"),
        delete=(basic(b"amir:secret\x7f"), "control-characters"),
        c1=(basic("amir:\u0085".encode()), "control-characters"),
        too_long=(basic(b"a:" + b"x" * (MAX_CREDENTIALS_OCTETS + 8)), "credentials-too-long"),
    )
    def test_refused(self, value, code):
        """What cannot be credentials is refused with a symbolic reason."""
        self.assertEqual(self.assertRaises(BadCredentials, parse_basic, value).code, code)

    def test_password_stays_out_of_repr(self):
        """A traceback that shows credentials shows no password."""
        self.assertNotIn("secret", repr(parse_basic(basic(b"amir:secret"))))

    @given(st.binary(max_size=80))
    @settings(max_examples=100)
    def test_any_octets(self, octets):
        """Any octets are credentials or are refused, never anything else."""
        for value in (octets, b"Basic " + octets, basic(octets)):
            try:
                credentials = parse_basic(value)
            except BadCredentials:
                continue
            self.assertTrue(credentials.name)
            self.assertTrue(credentials.password)
            self.assertNotIn(":", credentials.name)

    @given(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters=":"), min_size=1),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1),
    )
    @settings(max_examples=80)
    def test_round_trip(self, name, password):
        """Whatever a person may be called is read back in its normal form."""
        found = parse_basic(basic(f"{name}:{password}".encode()))
        self.assertEqual(found.name, unicodedata.normalize("NFC", name))
        self.assertEqual(found.password, unicodedata.normalize("NFC", password))


@tabular
class ChallengeTests(SynchronousTestCase):
    """What we ask with."""

    @rows(
        plain=("Hillside", b'Basic realm="Hillside", charset="UTF-8"'),
        quotes=('The "old" \\ wing', b'Basic realm="The \\"old\\" \\\\ wing", charset="UTF-8"'),
        utf8=("Schüler", 'Basic realm="Schüler", charset="UTF-8"'.encode()),
    )
    def test_written(self, realm, expected):
        """The realm stands in a quoted string, with the character set that we want back."""
        self.assertEqual(challenge(realm), expected)

    def test_line_end(self):
        """A realm cannot smuggle another field into the answer."""
        self.assertRaises(ValueError, challenge, "a\r\nSet-Cookie: b")
