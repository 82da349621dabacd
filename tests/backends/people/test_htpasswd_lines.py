"""The lines of htpasswd files, as they are found in the world."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.people.htpasswd_lines import read_users, with_hashes, without_names
from corpproxy.backends.people.passwords import DECOY
from tests.backends.people.test_passwords import APACHE_APR1, APACHE_BCRYPT, APACHE_DES, APACHE_SHA1
from tests.support.rows import rows, tabular

FILE = f"""\
# the people of Hillside
amir:{APACHE_BCRYPT}

beth:{APACHE_APR1}
jürgen:{APACHE_SHA1}
""".encode()


@tabular
class ReadTests(SynchronousTestCase):
    """What a file says."""

    def test_file(self):
        """Names, hashes, comments and empty lines are told apart."""
        users = read_users(FILE, "users.htpasswd")
        self.assertEqual(
            dict(users.hashes), {"amir": APACHE_BCRYPT, "beth": APACHE_APR1, "jürgen": APACHE_SHA1}
        )
        self.assertEqual(users.problems, ())

    @rows(
        no_last_line_end=(FILE.rstrip(b"\n"),),
        windows=(FILE.replace(b"\n", b"\r\n"),),
        byte_order_mark=(b"\xef\xbb\xbf" + FILE,),
        padded=(FILE.replace(b"amir", b"  amir").replace(b"\n", b" \t\n"),),
        more_fields=(FILE.replace(APACHE_APR1.encode(), APACHE_APR1.encode() + b":Beth Jones:staff"),),
        decomposed=(FILE.replace("ü".encode(), "u\u0308".encode()),),
    )
    def test_same(self, octets):
        """Editors and other programs write the same file in other ways."""
        self.assertEqual(read_users(octets, "f").hashes, read_users(FILE, "f").hashes)
        self.assertEqual(read_users(octets, "f").problems, ())

    @rows(
        plain=(b"carol:hunter2", "htpasswd-hash", "carol"),
        des=(f"carol:{APACHE_DES}".encode(), "htpasswd-hash", "passwd carol"),
        no_hash=(b"carol:", "htpasswd-hash", "plain text"),
        no_colon=(b"carol", "htpasswd-line", "name:hash"),
        no_name=(b":" + APACHE_APR1.encode(), "htpasswd-line", "name:hash"),
        latin1=(b"ren\xe9:" + APACHE_APR1.encode(), "htpasswd-not-utf-8", "UTF-8"),
        control=(b"ca\x07rol:" + APACHE_APR1.encode(), "htpasswd-line", "control"),
        nul=(b"\0" * 40, "htpasswd-line", "name:hash"),
        duplicate=(b"amir:" + APACHE_APR1.encode(), "htpasswd-duplicate", "first line"),
    )
    def test_odd_line(self, line, code, words):
        """An odd line is a problem at its place, says what to do, and fails no other line."""
        users = read_users(FILE + line + b"\ndora:" + APACHE_SHA1.encode(), "users.htpasswd")
        self.assertEqual(sorted(users.hashes), ["amir", "beth", "dora", "jürgen"])
        self.assertEqual(users.hashes["amir"], APACHE_BCRYPT)
        (problem,) = users.problems
        self.assertEqual((str(problem.place), problem.code), ("users.htpasswd:6", code))
        self.assertIn(words, problem.message)

    def test_secrets_are_not_told(self):
        """A password that stands in the file in plain text does not get into the log."""
        (problem,) = read_users(b"carol:hunter2", "f").problems
        self.assertNotIn("hunter2", str(problem))

    def test_refused_first_line_counts(self):
        """A line whose hash is refused still keeps a later one of the same name from counting."""
        users = read_users(b"amir:!" + APACHE_APR1.encode() + b"\namir:" + APACHE_APR1.encode(), "f")
        self.assertEqual(users.hashes, {})
        self.assertEqual([one.code for one in users.problems], ["htpasswd-hash", "htpasswd-duplicate"])

    def test_decoy(self):
        """Unknown names are checked against the commonest kind of hash, so that time tells nothing."""
        octets = f"a:{APACHE_APR1}\nb:{APACHE_BCRYPT}\nc:{APACHE_APR1}".encode()
        self.assertEqual(read_users(octets, "f").decoy, APACHE_APR1)
        self.assertEqual(read_users(b"", "f").decoy, DECOY)

    def test_changed(self):
        """Names that came, went or have another hash are told from those that stayed."""
        before = read_users(f"a:{APACHE_APR1}\nb:{APACHE_APR1}\nc:{APACHE_APR1}".encode(), "f")
        after = read_users(f"# new\nd:{APACHE_APR1}\nc:{APACHE_SHA1}\nb:{APACHE_APR1}".encode(), "f")
        self.assertEqual(after.changed_since(before), {"a", "c", "d"})

    @given(st.binary(max_size=200))
    @settings(max_examples=100)
    def test_any_octets(self, octets):
        """Any octets give people and problems, never anything else, and leave the good line alone."""
        users = read_users(octets.replace(b"amir", b"") + b"\namir:" + APACHE_SHA1.encode(), "f")
        self.assertEqual(users.hashes["amir"], APACHE_SHA1)
        for problem in users.problems:
            self.assertTrue(problem.place.line)


@tabular
class EditTests(SynchronousTestCase):
    """Editing leaves everything else as it was."""

    def test_replace(self):
        """A name keeps its place; comments, empty lines and the others stay."""
        expected = FILE.replace(APACHE_APR1.encode(), APACHE_SHA1.encode())
        self.assertEqual(with_hashes(FILE, {"beth": APACHE_SHA1}), expected)

    def test_append(self):
        """A new name comes last, also behind a line that had no end."""
        expected = FILE + f"carol:{APACHE_SHA1}\n".encode()
        self.assertEqual(with_hashes(FILE, {"carol": APACHE_SHA1}), expected)
        self.assertEqual(with_hashes(FILE.rstrip(b"\n"), {"carol": APACHE_SHA1}), expected)
        self.assertEqual(with_hashes(b"", {"carol": APACHE_SHA1}), f"carol:{APACHE_SHA1}\n".encode())

    def test_odd_lines_stay(self):
        """Lines that we do not understand are somebody's and stay."""
        odd = b"what is this\n" + FILE + b"ren\xe9:x\n"
        self.assertEqual(with_hashes(odd, {"beth": APACHE_SHA1}).count(b"\n"), odd.count(b"\n"))
        self.assertIn(b"ren\xe9:x\n", with_hashes(odd, {"beth": APACHE_SHA1}))

    def test_plain_text_is_replaced(self):
        """A refused line is mended by a new password."""
        self.assertEqual(
            with_hashes(b"amir:hunter2\n", {"amir": APACHE_SHA1}), f"amir:{APACHE_SHA1}\n".encode()
        )

    def test_windows_lines(self):
        """Line ends stay as they were."""
        octets = FILE.replace(b"\n", b"\r\n")
        expected = octets.replace(APACHE_APR1.encode(), APACHE_SHA1.encode())
        self.assertEqual(with_hashes(octets, {"beth": APACHE_SHA1}), expected)

    def test_duplicates_go(self):
        """A new password is the only one of its name."""
        octets = f"amir:{APACHE_APR1}\nbeth:{APACHE_APR1}\namir:{APACHE_BCRYPT}\n".encode()
        expected = f"amir:{APACHE_SHA1}\nbeth:{APACHE_APR1}\n".encode()
        self.assertEqual(with_hashes(octets, {"amir": APACHE_SHA1}), expected)

    def test_remove(self):
        """All lines of a name go, so that no older password comes back to life."""
        octets = FILE + b"amir:old\n"
        left, gone = without_names(octets, {"amir", "nobody"})
        self.assertEqual(left, FILE.replace(f"amir:{APACHE_BCRYPT}\n".encode(), b""))
        self.assertEqual(gone, {"amir"})

    @rows(comment=("# the people of Hillside",), empty=("",))
    def test_no_name(self, name):
        """Comments and empty lines are nobody's."""
        self.assertEqual(without_names(FILE, {name})[0], FILE)

    @given(st.binary(max_size=120), st.sampled_from(["amir", "beth", "x"]))
    @settings(max_examples=100)
    def test_any_file(self, octets, name):
        """Whatever stood in the file, the new hash is then the one that counts, and can be taken out."""
        edited = with_hashes(octets, {name: APACHE_SHA1})
        self.assertEqual(read_users(edited, "f").hashes.get(name), APACHE_SHA1)
        left, gone = without_names(edited, {name})
        self.assertEqual(gone, {name})
        self.assertNotIn(name, read_users(left, "f").hashes)
