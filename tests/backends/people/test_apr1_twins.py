"""The compiled apr1 and that of passlib give the same hash, for passwords of every length."""

from __future__ import annotations

from importlib import import_module

from hypothesis import example, given, settings
from hypothesis import strategies as st
from passlib.hash import apr_md5_crypt
from twisted.trial.unittest import SynchronousTestCase

from corpproxy import twins
from corpproxy.backends.people import passwords
from corpproxy.backends.people.passwords import verify
from tests.support.rows import rows, tabular

SALT = st.text("./ABCxyz0189", min_size=1, max_size=8)


@tabular
class CompiledTests(SynchronousTestCase):
    """``native/apr1.c`` beside passlib."""

    def setUp(self) -> None:
        self.apr1 = import_module("corpproxy._apr1").apr1

    def expect_same(self, password: bytes, salt: str) -> None:
        """Both write the same hash."""
        expected = apr_md5_crypt.using(salt=salt).hash(password)
        self.assertEqual(f"$apr1${salt}${self.apr1(password, salt.encode())}", expected)

    @given(st.binary(min_size=1, max_size=40).filter(lambda octets: b"\0" not in octets), SALT)
    @example(b"secret", "Oei3q2Tw")
    @settings(deadline=None, max_examples=60)
    def test_made_up(self, password, salt):
        """Any octets and any salt."""
        self.expect_same(password, salt)

    @rows(
        one=(1,),
        a_digest=(16,),
        more_than_a_digest=(17,),
        length_fits_no_more=(19,),
        length_just_fits=(20,),
        a_block=(64,),
        several_blocks=(150,),
        longest=(4096,),
    )
    def test_lengths(self, octets):
        """Lengths about which a block, a digest or what is taken ends."""
        for salt in ("x", "12345678"):
            self.expect_same((b"\xc3\xa9q" * 1400)[:octets], salt)

    def test_too_long(self):
        """What is longer than any password or salt is not taken."""
        self.assertRaises(ValueError, self.apr1, bytes(4097), b"x")
        self.assertRaises(ValueError, self.apr1, b"x", b"123456789")
        self.assertRaises(TypeError, self.apr1, "text", b"x")


class UsedTests(SynchronousTestCase):
    """Which of the two checks a password."""

    def test_compiled(self):
        """The compiled one does, where it is there, and tells a wrong password from the right one."""
        watched = _Watched()
        self.patch(twins, "apr1", watched)
        written = apr_md5_crypt.hash("secret")
        watched.answer = written.rpartition("$")[2]
        self.assertTrue(verify("secret", written))
        watched.answer = "." * 22
        self.assertFalse(verify("secret", written))
        self.assertEqual(watched.asked, [(b"secret", written.split("$")[2].encode())] * 2)

    def test_without(self):
        """Without it passlib does."""
        self.patch(twins, "apr1", None)
        written = apr_md5_crypt.hash("secret")
        self.assertTrue(verify("secret", written))
        self.assertFalse(verify("Secret", written))

    def test_longer(self):
        """A password that the compiled one does not take is passlib's to refuse."""
        watched = _Watched()
        self.patch(twins, "apr1", watched)
        with self.assertRaises(passwords.BadHash):
            verify("x" * 4097, apr_md5_crypt.hash("secret"))
        self.assertEqual(watched.asked, [])


class _Watched:
    """Stands where the compiled part stands."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes]] = []
        self.answer = ""

    def apr1(self, password: bytes, salt: bytes) -> str:
        """Remember what was asked."""
        self.asked.append((password, salt))
        return self.answer
