"""Password hashes: what other programs wrote is checked, what anybody can read is refused."""

from __future__ import annotations

import shutil
import subprocess
from unittest import SkipTest

import bcrypt
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.people.passwords import (
    DECOY,
    BadHash,
    Scheme,
    generate_password,
    hash_password,
    scheme_of,
    verify,
)
from tests.support.rows import rows, tabular

# Written by htpasswd of apache2-utils 2.4 and by openssl passwd; the password is "secret".
APACHE_BCRYPT = "$2y$05$cbPhSlUPgswEhzDbfbXfueRJSkOXeWHOnFqZLZohVIVGF1v8dMnre"
APACHE_APR1 = "$apr1$Oei3q2Tw$t4QXGzSnMX9CmXg5PL0Hm1"
APACHE_SHA1 = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
APACHE_SHA512 = (
    "$6$TbPNX3cs1u2LhTDW$pGCPdR5Sqcx7xXcu/sPmH9UME1q/p/0zCvVNxh0iz"
    "TlLXfiOYtHHnxrgIdiKMX/zNk3j4PjvBFXLsBgqx4J.m0"
)
APACHE_SHA256 = "$5$hohqalendpUihcUY$PnXXm8eTej4t9FD1FZr0pVHFe1srDA3vGoQwPVuJqVD"
OPENSSL_SHA512 = (
    "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG."
)
APACHE_DES = "TSf9x3JIph/Qw"


@tabular
class VerifyTests(SynchronousTestCase):
    """Right and wrong passwords against hashes of every kind."""

    @rows(
        bcrypt=(APACHE_BCRYPT, Scheme.BCRYPT),
        bcrypt_2b=(APACHE_BCRYPT.replace("$2y$", "$2b$"), Scheme.BCRYPT),
        bcrypt_2a=(APACHE_BCRYPT.replace("$2y$", "$2a$"), Scheme.BCRYPT),
        apr1=(APACHE_APR1, Scheme.APR1),
        sha1=(APACHE_SHA1, Scheme.SHA1),
        sha512=(APACHE_SHA512, Scheme.SHA_CRYPT),
        sha256=(APACHE_SHA256, Scheme.SHA_CRYPT),
        openssl=(OPENSSL_SHA512, Scheme.SHA_CRYPT),
    )
    def test_foreign(self, written, scheme):
        """What Apache's and OpenSSL's tools wrote is recognised and checked."""
        self.assertIs(scheme_of(written), scheme)
        self.assertTrue(verify("secret", written))
        for wrong in ("Secret", "secret ", "", "secre", "secret\0"):
            self.assertFalse(verify(wrong, written))

    def test_own(self):
        """Our own hashes are argon2id at 19 MiB and two passes, each with a salt of its own."""
        first, second = hash_password("secret"), hash_password("secret")
        self.assertTrue(first.startswith("$argon2id$v=19$m=19456,t=2,p=1$"))
        self.assertNotEqual(first, second)
        self.assertTrue(verify("secret", first))
        self.assertFalse(verify("Secret", first))

    def test_composed(self):
        """A password typed on two kinds of keyboard is one password."""
        self.assertTrue(verify("e\u0301te\u0301", hash_password("été")))

    def test_long_bcrypt(self):
        """Past 72 octets bcrypt reads nothing, as everywhere; it is no failure."""
        written = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
        self.assertTrue(verify("x" * 100, written))
        self.assertFalse(verify("x" * 71, written))

    def test_decoy(self):
        """What unknown names are checked against costs what our own hashes cost."""
        self.assertEqual(DECOY.rpartition("$")[0].rpartition("$")[0], "$argon2id$v=19$m=19456,t=2,p=1")
        self.assertFalse(verify("secret", DECOY))

    @rows(
        plain=("hunter2", "plain text"),
        empty=("", "plain text"),
        des=(APACHE_DES, "DES"),
        md5=("$1$abcdefgh$0123456789012345678901", "kind 1 "),
        yescrypt=("$y$j9T$abc$def", "kind y "),
        ldap=("{SSHA}abcdefghijklmnopqrstuvwxyz", "kind SSHA "),
        bcrypt_2x=(APACHE_BCRYPT.replace("$2y$", "$2x$"), "kind 2x "),
        short_bcrypt=(APACHE_BCRYPT[:-1], "damaged"),
        dear_bcrypt=(APACHE_BCRYPT.replace("$05$", "$31$"), "too long"),
        cheap_bcrypt=(APACHE_BCRYPT.replace("$05$", "$03$"), "does not exist"),
        bcrypt_salt=("$2y$05$" + "9" * 53, "damaged"),
        short_sha1=("{SHA}abc", "damaged"),
        dear_sha=(APACHE_SHA256.replace("$5$", "$5$rounds=999999999$"), "too long"),
        cheap_sha=(APACHE_SHA256.replace("$5$", "$5$rounds=10$"), "does not exist"),
        padded_rounds=(APACHE_SHA256.replace("$5$", "$5$rounds=05000$"), "damaged"),
        dear_argon2=(DECOY.replace("m=19456", "m=9999999"), "too much"),
        long_argon2=(DECOY.replace("t=2", "t=5000"), "too much"),
        lanes=(DECOY.replace("p=1", "p=99"), "too much"),
        no_passes=(DECOY.replace("t=2", "t=0"), "damaged"),
        no_memory=(DECOY.replace("m=19456", "m=1"), "damaged"),
        cut_argon2=(DECOY[:40], "damaged"),
        trailing=(APACHE_APR1 + "\n", "damaged"),
        arabic_digits=(APACHE_BCRYPT.replace("05", "\u0660\u0665"), "damaged"),
    )
    def test_refused(self, written, words):
        """What is not checked is refused with the reason, and the reason does not show it."""
        bad = self.assertRaises(BadHash, scheme_of, written)
        self.assertIn(words, str(bad) + " ")
        if len(written) > 4:
            self.assertNotIn(written, str(bad))
        self.assertRaises(BadHash, verify, "secret", written)

    @given(
        st.one_of(
            st.text(max_size=80), st.from_regex(r"\$(argon2id|2y|5|6|apr1)\$[!-~]{0,90}", fullmatch=True)
        )
    )
    @settings(max_examples=100, deadline=None)
    def test_any_text(self, written):
        """Any text is a hash or a `BadHash`, and no hash that nobody made lets anybody in."""
        try:
            right = verify("secret", written)
        except BadHash:
            return
        self.assertFalse(right)

    @given(st.text(max_size=60))
    @settings(max_examples=30, deadline=None)
    def test_any_password(self, password):
        """Any text can be tried as a password."""
        self.assertIs(verify(password, APACHE_APR1), password == "secret")
        self.assertIs(verify(password, APACHE_SHA1), password == "secret")


class GenerateTests(SynchronousTestCase):
    """Passwords that we make."""

    def test_readable(self):
        """They have no characters that look alike, and are never the same."""
        made = {generate_password() for _ in range(200)}
        self.assertEqual(len(made), 200)
        for password in made:
            self.assertRegex(password, r"\A[a-hj-kmnp-z2-9]{4}(-[a-hj-kmnp-z2-9]{4}){2}\Z")


@tabular
class ApacheToolTests(SynchronousTestCase):
    """The tool that administrators use today, where it is installed."""

    @rows(bcrypt=("-B",), apr1=("-m",), sha1=("-s",), sha512=("-5",), sha256=("-2",))
    def test_htpasswd(self, option):
        """A hash that htpasswd writes now is checked; odd characters are no obstacle."""
        if shutil.which("htpasswd") is None:
            raise SkipTest("htpasswd is not installed; apt install apache2-utils")
        password = "p@ss:wörd €"
        run = subprocess.run(
            ["htpasswd", "-ni", option, "amir"],
            input=password.encode() + b"\n",
            capture_output=True,
            check=False,
        )
        if run.returncode:
            raise SkipTest(f"this htpasswd has no {option}: {run.stderr.decode(errors='replace')}")
        written = run.stdout.decode().strip().partition(":")[2]
        self.assertTrue(verify(password, written))
        self.assertFalse(verify("p@ss", written))
