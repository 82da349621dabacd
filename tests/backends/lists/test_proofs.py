"""A fetched list is held against its checksum or its signature."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from corpproxy.backends.lists.proofs import NotProved, check_checksums, check_digest, check_signature
from tests.support.rows import rows, tabular

LIST = b"games.example\n"
MD5, SHA256, SHA512 = (hashlib.new(name, LIST).hexdigest() for name in ("md5", "sha256", "sha512"))
OTHER = "0" * 32
URL = "https://lists.example/download/black%20list.txt?day=1"

NUMBER = b"12345678"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = base64.b64encode(
    b"Ed" + NUMBER + KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
).decode()


def signature(
    content: bytes, *, hashed: bool = True, comment: bytes | None = b"of today", number=NUMBER
) -> bytes:
    """A signature as minisign makes it, or as signify does: without a trusted comment."""
    made = KEY.sign(hashlib.blake2b(content).digest() if hashed else content)
    lines = [b"untrusted comment: by us", base64.b64encode((b"ED" if hashed else b"Ed") + number + made)]
    if comment is not None:
        lines += [b"trusted comment: " + comment, base64.b64encode(KEY.sign(made + comment))]
    return b"\n".join(lines) + b"\n"


class ProofCase(SynchronousTestCase):
    """A list on the disk."""

    def setUp(self):
        self.path = Path(self.mktemp())
        self.path.write_bytes(LIST)


@tabular
class ChecksumTests(ProofCase):
    """Files of checksums, as publishers write them."""

    @rows(
        md5sum=(f"{OTHER}  other.txt\n{MD5}  black list.txt\n",),
        binary=(f"{SHA256} *./black list.txt\n",),
        bsd=(f"SHA512 (black list.txt) = {SHA512}\nSHA512 (a) = {'1' * 128}\n",),
        alone=(f"{SHA256.upper()}\n",),
        only_one=(f"{MD5}  tmp/today.tar.gz\n",),
        twice=(f"{MD5}  a/black list.txt\n{MD5}  b/black list.txt\n",),
    )
    def test_right(self, text):
        """The one with the list's name is found, and is right."""
        check_checksums(self.path, text.encode(), URL)

    @rows(
        wrong=(f"{OTHER}  black list.txt", "its checksum is wrong: its md5 is"),
        none=("<html>", "holds none"),
        empty=("", "holds none"),
        two=(f"{OTHER}  black list.txt\n{MD5}  black list.txt", "has none for 'black list.txt', or several"),
        others=(f"{OTHER}  a\n{MD5}  b", "has none for 'black list.txt', or several"),
        odd=("0" * 33, "a checksum of 33 digits is of no kind that is known"),
    )
    def test_wrong(self, text, expected):
        """What proves nothing is refused."""
        self.assertIn(
            expected, str(self.assertRaises(NotProved, check_checksums, self.path, text.encode(), URL))
        )

    def test_digest(self):
        """A digest may stand in the policy itself."""
        check_digest(self.path, f"sha256:{SHA256}")
        self.assertRaises(NotProved, check_digest, self.path, f"sha256:{'0' * 64}")


@tabular
class SignatureTests(ProofCase):
    """Signatures by minisign and signify."""

    @rows(
        minisign=(signature(LIST),),
        minisign_of_old=(signature(LIST, hashed=False),),
        signify=(signature(LIST, hashed=False, comment=None),),
        windows=(signature(LIST).replace(b"\n", b"\r\n"),),
    )
    def test_right(self, made):
        """A good signature passes."""
        check_signature(self.path, made, PUBLIC)

    @rows(
        other_list=(signature(b"evil.example\n"), "it is not what its publisher signed"),
        other_key=(signature(LIST, number=b"87654321"), "by another key"),
        comment=(signature(LIST).replace(b"today", b"later"), "the comment of its signature was changed"),
        page=(b"<html>\n</html>\n", "none of minisign or signify"),
        empty=(b"", "none of minisign or signify"),
        cut=(signature(LIST)[:-60], "none of minisign or signify"),
        no_comment=(signature(LIST, comment=None), "none of minisign or signify"),
    )
    def test_wrong(self, made, expected):
        """A bad one is told for what it is."""
        error = self.assertRaises(NotProved, check_signature, self.path, made, PUBLIC)
        self.assertIn(expected, str(error))

    def test_minisign_itself(self):
        """What the program makes passes."""
        minisign = shutil.which("minisign")
        if minisign is None:
            raise SkipTest("minisign is not installed")
        folder = self.path.parent
        key, public = folder / "key", folder / "key.pub"
        for options in (["-G", "-W", "-f", "-p", public, "-s", key], ["-S", "-s", key, "-m", self.path]):
            subprocess.run([minisign, *options], check=True, capture_output=True)
        made = self.path.with_name(self.path.name + ".minisig").read_bytes()
        check_signature(self.path, made, public.read_text().splitlines()[1])
