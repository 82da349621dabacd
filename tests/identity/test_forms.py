"""Signed forms: only what we made comes back, for its purpose and in time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.forms import BadForm, Signer
from tests.support.rows import rows, tabular

KEY = b"a secret of the process, 32 long"
VALUES = {"name": "amir", "client": "10.0.0.1", "host": "casino.example", "rule": "gambling für alle"}


@tabular
class SignerTests(SynchronousTestCase):
    """Sealing and opening."""

    def setUp(self):
        self.signer = Signer(KEY)
        self.token = self.signer.seal("warn", VALUES, 2000.0)

    def refused(self, token, *, purpose="warn", now=1000.0, signer=None):
        return self.assertRaises(BadForm, (signer or self.signer).unseal, purpose, token, now).code

    def test_round_trip(self):
        """What was sealed opens to the same values until it ends."""
        self.assertEqual(self.signer.open("warn", self.token, 1999.0), VALUES)
        self.assertEqual(self.signer.unseal("warn", self.token, 1999.0), VALUES)

    def test_alphabet(self):
        """A token needs no escaping in a URL, a form or HTML."""
        self.assertRegex(self.token, r"\A[A-Za-z0-9_.-]+\Z")

    def test_expired(self):
        """An old page says that it is old, so that the person opens it again."""
        self.assertEqual(self.refused(self.token, now=2000.0), "form-expired")

    def test_other_purpose(self):
        """A form for one thing cannot be used for another."""
        self.assertEqual(self.refused(self.token, purpose="password"), "form-forged")

    def test_other_key(self):
        """A form of another process, or of an earlier life of this one, is not ours."""
        self.assertEqual(self.refused(self.token, signer=Signer(KEY[::-1])), "form-forged")

    def test_every_changed_character(self):
        """No character of a token can be changed."""
        for at, character in enumerate(self.token):
            changed = self.token[:at] + ("A" if character != "A" else "B") + self.token[at + 1 :]
            self.assertEqual(self.refused(changed), "form-forged")

    @rows(
        empty=("",),
        dot=(".",),
        no_mark=("W10",),
        not_ascii=("é.é",),
        long=("A" * 9000 + "." + "A" * 43,),
        surrogate=("\udc80.a",),
    )
    def test_nonsense(self, token):
        """Nonsense is forged, never an error of ours."""
        self.assertEqual(self.refused(token), "form-forged")

    @given(st.text(max_size=200))
    @settings(max_examples=80)
    def test_any_text(self, text):
        """No text opens that we did not seal."""
        for token in (text, f"{text}.{text}", self.token.partition(".")[0] + "." + text):
            self.assertEqual(self.refused(token), "form-forged")

    def test_short_key(self):
        """A key that could be guessed is refused at once."""
        self.assertRaises(ValueError, Signer, b"short")
