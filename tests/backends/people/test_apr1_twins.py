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

PASSWORD = st.binary(max_size=24).filter(lambda octets: b"\0" not in octets)
SALT = st.text("./ABCxyz0189", min_size=1, max_size=8)


@tabular
class CompiledTests(SynchronousTestCase):
    """``native/apr1.c`` beside passlib."""

    def setUp(self) -> None:
        self.apr1 = import_module("corpproxy._apr1").apr1

    def expect_same(self, password: bytes, salt: str) -> None:
        """Both write the same hash."""
        expected = apr_md5_crypt.using(salt=salt).hash(password)
        self.assertEqual(
            [f"$apr1${salt}${one}" for one in self.apr1([(password, salt.encode())])], [expected]
        )

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

    @given(st.lists(st.tuples(PASSWORD, SALT), min_size=2, max_size=16))
    @example([(b"q" * octets, "12345678") for octets in (14, 15, 16, 17)])
    @example([(b"", "x")] * 16)
    @settings(deadline=None, max_examples=20)
    def test_side_by_side(self, pairs):
        """Each of several has the hash that it has alone, whether it fits into a lane or goes by itself."""
        made = self.apr1([(password, salt.encode()) for password, salt in pairs])
        alone = [self.apr1([(password, salt.encode())])[0] for password, salt in pairs]
        self.assertEqual(made, alone)
        for (password, salt), one in zip(pairs, made, strict=True):
            self.assertEqual(apr_md5_crypt.using(salt=salt).hash(password), f"$apr1${salt}${one}")

    @rows(
        long_password=([(bytes(4097), b"x")], ValueError),
        long_salt=([(b"x", b"123456789")], ValueError),
        one_among_several=([(b"x", b"y"), (b"x", b"123456789")], ValueError),
        too_many=([(b"x", b"y")] * 17, ValueError),
        text=([("text", b"x")], TypeError),
        no_pair=([(b"x",)], TypeError),
        no_tuple=([b"xy"], TypeError),
        nothing_of_the_kind=(7, TypeError),
    )
    def test_not_taken(self, pairs, problem):
        """What is longer than any password, more than there are lanes, or none at all is refused."""
        self.assertRaises(problem, self.apr1, pairs)

    def test_nobody(self):
        """Of nobody there is no hash."""
        self.assertEqual(self.apr1([]), [])


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


@tabular
class TogetherTests(SynchronousTestCase):
    """Which passwords are checked together."""

    def setUp(self):
        self.patch(twins, "apr1", import_module("corpproxy._apr1"))

    def test_several(self):
        """Each is told from a wrong one, in any script."""
        words = ("secret", "secret"), ("pa\u0303ssword", "p\u00e3ssword"), ("x" * 64, "x" * 64)
        right = [(typed, apr_md5_crypt.hash(word)) for typed, word in words]
        wrong = [("Secret", right[0][1]), ("", right[1][1])]
        self.assertTrue(all(passwords.may_go_together(*pair) for pair in right + wrong))
        self.assertEqual(passwords.verify_together(right + wrong), [True, True, True, False, False])

    @rows(
        other_kind=("secret", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="),
        damaged=("secret", "$apr1$x$short"),
        nul=("sec\0ret", "$apr1$x$HEwIZzdgdUUtU6hELHSSS."),
        longer_than_typed=("x" * 65, "$apr1$x$HEwIZzdgdUUtU6hELHSSS."),
    )
    def test_alone(self, password, written):
        """What is no apr1, cannot be a password, or is longer than anybody types is checked alone."""
        self.assertFalse(passwords.may_go_together(password, written))

    def test_without(self):
        """Without the compiled part nothing is: passlib takes one at a time."""
        written = apr_md5_crypt.hash("secret")
        self.assertTrue(passwords.may_go_together("secret", written))
        self.patch(twins, "apr1", None)
        self.assertFalse(passwords.may_go_together("secret", written))


class _Watched:
    """Stands where the compiled part stands."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes]] = []
        self.answer = ""

    def apr1(self, pairs: list[tuple[bytes, bytes]]) -> list[str]:
        """Remember what was asked."""
        self.asked += pairs
        return [self.answer] * len(pairs)
