"""Passwords that are too weak to be given out."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import Place
from corpproxy.identity.strength import MIN_PASSWORD_CHARACTERS, problem_of_password
from tests.support.rows import rows, tabular


@tabular
class StrengthTests(SynchronousTestCase):
    """What is wrong with a password."""

    @rows(words=("correct horse",), short=("k3j9-x2q",), cjk=("密码很长而且很难猜到",))
    def test_good(self, password):
        """Length is what counts; no kinds of character are asked for."""
        self.assertIsNone(problem_of_password("amir", password))

    @rows(
        short=("k3j9-x2", "password-too-short"),
        name=("AMIR.KHAN", "password-is-name"),
        simple=("abababababab", "password-too-simple"),
        long=("correct horse " * 50, "password-too-long"),
        line_end=("correct\nhorse", "password-control-characters"),
        no_text=("correct horse \udc80", "password-control-characters"),
    )
    def test_bad(self, password, code):
        """Each fault has a code and a sentence, at the place it was found."""
        problem = problem_of_password("amir.khan", password, Place("people.csv", 3))
        self.assertEqual(problem.code, code)
        self.assertTrue(str(problem).startswith("people.csv:3: the password "))

    @given(st.text())
    @settings(max_examples=80)
    def test_any_text(self, password):
        """Any text is judged, and what is too short is never taken."""
        problem = problem_of_password("amir", password)
        if len(password) < MIN_PASSWORD_CHARACTERS // 3:
            self.assertIsNotNone(problem)
