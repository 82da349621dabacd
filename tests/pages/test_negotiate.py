"""Language and form of a page follow from two fields that anybody may fill with anything."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.pages.negotiate import LANGUAGES, Media, audience, chosen_language, chosen_media
from tests.support.rows import rows, tabular


@tabular
class LanguageTests(SynchronousTestCase):
    """Accept-Language."""

    @rows(
        absent=(None, "en"),
        empty=(b"", "en"),
        plain=(b"de", "de"),
        upper_case=(b"FR", "fr"),
        region=(b"de-AT", "de"),
        browser=(b"fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr"),
        weights_against_order=(b"en;q=0.3, de;q=0.8", "de"),
        first_of_equals=(b"de, fr", "de"),
        unknown_then_known=(b"nl, de;q=0.5", "de"),
        unknown=(b"nl, pl", "en"),
        star=(b"*", "en"),
        star_after_unknown=(b"nl, *;q=0.1", "en"),
        ruled_out=(b"de;q=0, fr;q=0.1", "fr"),
        ruled_out_alone=(b"de;q=0", "en"),
        spaces=(b"  de ; q=0.5 ,\tfr ; Q = 0.7 ", "fr"),
        begins_alike=(b"fra, den", "en"),
        weight_too_large=(b"de;q=7, fr;q=0.1", "fr"),
        weight_unreadable=(b"de;q=high, fr;q=0.001", "fr"),
        weight_too_precise=(b"de;q=0.99999, fr;q=0.1", "fr"),
        garbage=(b"\xff\xfe;;;=,,, de", "de"),
        only_commas=(b",,,,", "en"),
        other_parameter=(b"de;level=1", "de"),
        beyond_members=(b"nl," * 32 + b"de", "en"),
        beyond_octets=(b" " * 1024 + b"de", "en"),
    )
    def test_choice(self, sent, expected):
        """The language with the highest weight of those we have is chosen, English without any."""
        self.assertEqual(chosen_language(sent), expected)

    @given(st.binary(max_size=3000))
    @settings(max_examples=100, deadline=None)
    def test_any_octets(self, sent):
        """Any field gives one of our languages."""
        self.assertIn(chosen_language(sent), LANGUAGES)


@tabular
class MediaTests(SynchronousTestCase):
    """Accept."""

    @rows(
        absent=(None, Media.TEXT),
        curl=(b"*/*", Media.TEXT),
        image=(b"image/avif,image/webp,*/*;q=0.8", Media.TEXT),
        chromium=(
            b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
            Media.HTML,
        ),
        html=(b"text/html", Media.HTML),
        upper_case=(b"Text/HTML", Media.HTML),
        json=(b"application/json", Media.JSON),
        api_client=(b"application/json, text/plain, */*", Media.JSON),
        json_preferred=(b"application/json, text/html;q=0.5", Media.JSON),
        html_before_json=(b"text/html, application/json", Media.HTML),
        html_refused=(b"text/html;q=0", Media.TEXT),
        all_text=(b"text/*", Media.TEXT),
        garbage=(b"\x80text/html", Media.TEXT),
    )
    def test_choice(self, sent, expected):
        """HTML and JSON go to who names them, plain text to everybody else."""
        self.assertEqual(chosen_media(sent), expected)

    @given(st.one_of(st.none(), st.binary(max_size=200)), st.one_of(st.none(), st.binary(max_size=200)))
    @settings(max_examples=60, deadline=None)
    def test_any_octets(self, accept, accept_language):
        """Any two fields give an audience."""
        self.assertIn(audience(accept, accept_language).media, Media)
