"""Forms are read strictly, and the signed ones serve one person for one thing."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.model import Destination, Host
from corpproxy.errors import ProtocolError
from corpproxy.identity.forms import BadForm
from corpproxy.identity.model import ANONYMOUS
from corpproxy.pages.confirm import (
    DEFAULT_SECONDS,
    FORM_SECONDS,
    grant_for,
    open_warning,
    seal_warning,
    warned,
    way_back,
)
from corpproxy.pages.forms import MAX_FIELDS, MAX_FORM_OCTETS, parse_form
from tests.pages.samples import AMIR, ANNA, NOW, SIGNER, occasion
from tests.support.rows import rows, tabular

unseal = getattr(SIGNER, "open")  # noqa: B009


@tabular
class FormTests(SynchronousTestCase):
    """application/x-www-form-urlencoded."""

    @rows(
        empty=(b"", {}),
        one=(b"token=abc", {"token": "abc"}),
        empty_value=(b"old=", {"old": ""}),
        spaces=(b"new=a+b%20c", {"new": "a b c"}),
        utf8=(b"new=%C3%BC%E2%82%AC", {"new": "ü€"}),
        signs=(b"new=!$*()-._~%3D%26%25", {"new": "!$*()-._~=&%"}),
        equals_encoded=(b"a=1&b=2", {"a": "1", "b": "2"}),
        nul=(b"new=%00", {"new": "\0"}),
    )
    def test_read(self, content, expected):
        """What a browser sends of our forms is read."""
        self.assertEqual(parse_form(content), expected)

    @rows(
        no_value=(b"token", "form-invalid"),
        no_name=(b"=x", "form-invalid"),
        empty_pair=(b"a=1&&b=2", "form-invalid"),
        trailing=(b"a=1&", "form-invalid"),
        twice=(b"a=1&a=2", "form-invalid"),
        twice_encoded=(b"a=1&%61=2", "form-invalid"),
        half_escape=(b"a=%4", "form-invalid"),
        bad_escape=(b"a=%zz", "form-invalid"),
        not_utf8=(b"a=%ff", "form-invalid"),
        half_character=(b"a=%ed%a0%80", "form-invalid"),
        raw_octet=(b"a=\xc3\xbc", "form-invalid"),
        line_break=(b"a=1\r\n", "form-invalid"),
        second_equals=(b"a=1=2", "form-invalid"),
        many=(b"&".join(b"%d=1" % number for number in range(MAX_FIELDS + 1)), "form-invalid"),
        long=(b"a=" + b"x" * MAX_FORM_OCTETS, "form-too-large"),
    )
    def test_refused(self, content, code):
        """What no form of ours sends is refused by name."""
        with self.assertRaises(ProtocolError) as raised:
            parse_form(content)
        self.assertEqual(raised.exception.code, code)

    @rows(
        absent=(None,),
        multipart=(b"multipart/form-data; boundary=x",),
        json=(b"application/json",),
        text=(b"text/plain",),
    )
    def test_media_type(self, media_type):
        """Only one encoding of forms is read: a script elsewhere cannot send others without asking."""
        self.assertRaises(ProtocolError, parse_form, b"a=1", media_type)

    def test_charset(self):
        """A parameter behind the media type is no obstacle."""
        content_type = b"Application/X-WWW-Form-Urlencoded; charset=UTF-8"
        self.assertEqual(parse_form(b"a=1", content_type), {"a": "1"})

    @given(st.binary(max_size=200))
    @settings(max_examples=100, deadline=None)
    def test_any_octets(self, content):
        """Any octets give fields or a named error; what is read is what the standard library reads."""
        try:
            fields = parse_form(content)
        except ProtocolError as error:
            self.assertIn(error.code, {"form-invalid", "form-too-large"})
        else:
            again = dict(parse_qsl(content.decode("ascii"), keep_blank_values=True, separator="&"))
            self.assertEqual(fields, again)

    @given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=30), max_size=MAX_FIELDS))
    @settings(max_examples=80, deadline=None)
    def test_round_trip(self, fields):
        """Every form that a browser can make is read as it was filled in."""
        self.assertEqual(parse_form(urlencode(fields).encode("ascii")), fields)


def warning(identity=AMIR, **more):
    destination = occasion("forum.chess.example", "").destination
    return warned(identity, "10.1.2.3", destination, "forums", **({"warn_seconds": 2700} | more))


@tabular
class ConfirmTests(SynchronousTestCase):
    """The form that confirms a warning."""

    def test_grant(self):
        """The form of a warning comes back as a grant for this person, this host, this rule, until then."""
        token = seal_warning(SIGNER.seal, warning(), NOW)
        opened = open_warning(unseal, token, AMIR, "10.9.9.9", NOW + 60)
        self.assertEqual(opened, warning())
        grant = grant_for(opened, NOW + 60, "0nk4x7a2k40001")
        self.assertEqual(
            (grant.who, grant.host, grant.rule, grant.until, grant.given_by, grant.id),
            ("amir", "forum.chess.example", "forums", NOW + 60 + 2700, "amir", "0nk4x7a2k40001"),
        )

    @rows(
        somebody_else=(ANNA, 0.0, "form-forged"),
        nobody=(ANONYMOUS, 0.0, "form-forged"),
        too_late=(AMIR, FORM_SECONDS + 1.0, "form-expired"),
    )
    def test_refused(self, identity, later, code):
        """A form is taken from whom it was shown to, and in time."""
        token = seal_warning(SIGNER.seal, warning(), NOW)
        with self.assertRaises(BadForm) as raised:
            open_warning(unseal, token, identity, "10.1.2.3", NOW + later)
        self.assertEqual(raised.exception.code, code)

    def test_other_address(self):
        """Where nobody signed in, the client address is the person."""
        token = seal_warning(SIGNER.seal, warning(ANONYMOUS), NOW)
        self.assertEqual(open_warning(unseal, token, ANONYMOUS, "10.1.2.3", NOW).who, "address:10.1.2.3")
        self.assertRaises(BadForm, open_warning, unseal, token, ANONYMOUS, "10.1.2.4", NOW)

    def test_other_purpose(self):
        """A form of another page confirms nothing, whoever signed it."""
        token = SIGNER.seal("change-password", {"who": "amir"}, NOW + 60)
        self.assertRaises(BadForm, open_warning, unseal, token, AMIR, "", NOW)

    @rows(
        missing=({"who": "amir"},),
        no_number=({"who": "amir", "host": "a", "rule": "b", "uri": "c", "seconds": "x"},),
    )
    def test_incomplete(self, values):
        """A sealed form without its values is refused like a forged one."""
        token = SIGNER.seal("confirm-warning", values, NOW + 60)
        self.assertRaises(BadForm, open_warning, unseal, token, AMIR, "", NOW)

    def test_life_by_default(self):
        """A rule that does not say how long gives the default."""
        self.assertEqual(warning(warn_seconds=0).seconds, DEFAULT_SECONDS)

    @rows(
        page=("www.poker.example", 80, "http", "/a?b=c", "http://www.poker.example/a?b=c"),
        port=("www.poker.example", 8080, "http", "/", "http://www.poker.example:8080/"),
        tunnel=("www.poker.example", 443, "https", "", "https://www.poker.example/"),
        tunnel_port=("www.poker.example", 8443, "https", "", "https://www.poker.example:8443/"),
        websocket=("www.poker.example", 80, "http", "", "http://www.poker.example/"),
        ipv6=("2001:db8::1", 443, "https", "", "https://[2001:db8::1]/"),
        octets=("a.example", 80, "http", '/\xfc\r\n"<', "http://a.example/%C3%BC%0D%0A%22%3C"),
        escapes=("a.example", 80, "http", "/%C3%BC", "http://a.example/%C3%BC"),
        long=("a.example", 8080, "http", "/" + "x" * 5000, "http://a.example:8080/"),
    )
    def test_way_back(self, host, port, scheme, path, expected):
        """A person comes back to what was asked for; over a tunnel, to the start page of the site."""
        self.assertEqual(way_back(Destination(Host(host), port, scheme, path)), expected)
