"""Sign-in as the road sees it: recalled, refused, delayed, checked, down."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends import atomic_file
from corpproxy.backends.people import passwords
from corpproxy.backends.people.checks import MAX_DELAYED_PER_ADDRESS, MAX_IN_TURN
from corpproxy.backends.people.directory import DirectoryBusy, DirectoryDown
from corpproxy.backends.people.htpasswd import Htpasswd
from corpproxy.backends.people.sign_in import Refused, SignIn
from corpproxy.identity.attempts import FREE_PER_ADDRESS, FREE_PER_PAIR, Attempts
from corpproxy.identity.memory import WRONG_LIFE_SECONDS, SignInMemory
from corpproxy.identity.model import Identity
from corpproxy.identity.people import People
from corpproxy.identity.settings import IdentitySettings
from tests.backends.by_hand import ByHand
from tests.backends.people.test_passwords import APACHE_SHA1

ROOM = "10.1.0.1"
AMIR = Identity("amir", ("pupils",))


def basic(name, password="secret"):
    return b"Basic " + b64encode(f"{name}:{password}".encode())


class SignInCase(SynchronousTestCase):
    """With an htpasswd file of cheap hashes and threads that the test moves."""

    def setUp(self):
        self.path = Path(self.mktemp())
        self.write("amir", "beth", *(f"user{n}" for n in range(100)))
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.threads = ByHand()
        self.htpasswd = Htpasswd(self.path, self.clock, self.threads, log=Logger(observer=lambda event: None))
        self.sign_in = SignIn(
            People(IdentitySettings(groups={"pupils": ("amir",)})),
            self.htpasswd,
            SignInMemory(7200, 1000, b"k" * 32),
            Attempts(),
            clock=self.clock.seconds,
            reactor=self.clock,
            threads=self.threads,
        )
        self.htpasswd.load()

    def write(self, *names):
        self.path.write_text("".join(f"{name}:{APACHE_SHA1}\n" for name in names))
        self.path.chmod(0o640)

    def check(self, name, password="secret", address=ROOM):
        """Check to the end, with the hashing done but no time passing."""
        done = self.sign_in.check(basic(name, password), address)
        self.threads.do()
        return done

    def judged(self, name, password="secret", address=ROOM):
        return self.successResultOf(self.check(name, password, address))

    def guess(self, name, count, address=ROOM):
        for n in range(count):
            self.judged(name, f"wrong{n}", address)

    def recall(self, name, password="secret"):
        return self.sign_in.recall(basic(name, password), self.clock.seconds())


class SignInTests(SignInCase):
    """What becomes of credentials."""

    def test_right(self):
        """The right password gives the person with the groups, and from then on costs no hash."""
        self.assertIsNone(self.recall("amir"))
        self.assertEqual(self.judged("amir"), AMIR)
        self.assertEqual(self.recall("amir"), AMIR)
        self.assertEqual(self.successResultOf(self.sign_in.check(basic("amir"), ROOM)), AMIR)
        self.assertEqual(self.sign_in.counts.ok, 1)
        self.assertEqual(self.sign_in.counts.remembered, 2)

    def test_life(self):
        """After its life it is checked again."""
        self.judged("amir")
        self.clock.advance(7200)
        self.assertIsNone(self.recall("amir"))
        self.assertEqual(self.judged("amir"), AMIR)
        self.assertEqual(self.sign_in.counts.ok, 2)

    def test_wrong(self):
        """A wrong password and a strange name get the same answer."""
        self.assertEqual(self.judged("amir", "wrong"), Refused("wrong-password"))
        self.assertEqual(self.judged("nobody"), Refused("wrong-password"))
        self.assertEqual(self.sign_in.counts.failed, 2)

    def test_wrong_again(self):
        """A browser that repeats one wrong password costs one hash, counts once and never waits."""
        for _ in range(50):
            self.assertEqual(self.judged("amir", "wrong").wait_seconds, 0)
        self.assertEqual(self.sign_in.counts.failed, 1)
        for _ in range(10):
            self.clock.advance(WRONG_LIFE_SECONDS)
            self.assertEqual(self.judged("amir", "wrong"), Refused("wrong-password"))
        self.assertEqual(self.judged("amir"), AMIR)

    def test_unreadable(self):
        """What cannot be read is refused with its own reason and costs no hash."""
        self.assertEqual(self.successResultOf(self.sign_in.check(b"NTLM x", ROOM)), Refused("unknown-scheme"))
        self.assertEqual(self.threads.jobs, [])

    def test_shared(self):
        """Connections that bring the same credentials at the same time share one check."""
        waiting = [self.sign_in.check(basic("amir"), ROOM) for _ in range(6)]
        self.assertEqual(len(self.threads.jobs), 1)
        self.assertEqual(self.sign_in.counts.waiting, 1)
        self.threads.do()
        self.assertEqual([self.successResultOf(one) for one in waiting], [AMIR] * 6)
        self.assertEqual(self.sign_in.counts.waiting, 0)

    def test_client_gone(self):
        """A client that leaves ends neither the check of the others nor what is learnt from it."""
        gone = self.sign_in.check(basic("amir"), ROOM)
        stays = self.sign_in.check(basic("amir"), ROOM)
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.threads.do()
        self.assertEqual(self.successResultOf(stays), AMIR)

    def test_all_gone(self):
        """When nobody waits any more, what is found out is still remembered."""
        gone = self.sign_in.check(basic("amir"), ROOM)
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.threads.do()
        self.assertEqual(self.recall("amir"), AMIR)

    def test_changed_line(self):
        """When a line changes, that person signs in anew and nobody else."""
        self.judged("amir")
        self.judged("beth")
        self.path.write_text(f"amir:{passwords.hash_password('another one')}\nbeth:{APACHE_SHA1}\n")
        self.htpasswd.load()
        self.assertIsNone(self.recall("amir"))
        self.assertEqual(self.recall("beth").name, "beth")
        self.assertEqual(self.judged("amir"), Refused("wrong-password"))

    def test_new_password_is_not_wrong_any_more(self):
        """A password that was wrong a moment ago and was then set lets in at once."""
        self.assertEqual(self.judged("carol"), Refused("wrong-password"))
        self.write("carol")
        self.htpasswd.load()
        self.assertEqual(self.judged("carol").name, "carol")

    def test_delay(self):
        """Who guesses waits before the check; the check comes when the time has passed."""
        self.guess("amir", FREE_PER_PAIR)
        done = self.check("amir", "wrong again")
        self.assertEqual(self.threads.jobs, [])
        self.assertNoResult(done)
        self.clock.advance(1)
        self.threads.do()
        self.assertEqual(self.successResultOf(done), Refused("wrong-password", 2.0))

    def test_delay_then_right(self):
        """The right password after many wrong ones works after the delay, and ends it."""
        self.guess("amir", FREE_PER_PAIR)
        done = self.check("amir")
        self.clock.advance(1)
        self.threads.do()
        self.assertEqual(self.successResultOf(done), AMIR)
        self.assertEqual(self.judged("amir", "wrong once"), Refused("wrong-password"))

    def test_other_address(self):
        """Nobody can keep another out: from another address the right password works at once."""
        self.guess("amir", FREE_PER_PAIR)
        self.check("amir", "still guessing")
        self.assertEqual(self.judged("amir", address="10.2.0.1"), AMIR)

    def test_once_right(self):
        """A password that was right this morning waits for no guesser behind the same address."""
        self.judged("amir")
        self.clock.advance(7200)
        self.guess("amir", FREE_PER_PAIR)
        self.check("amir", "still guessing")
        self.assertEqual(self.judged("amir"), AMIR)

    def test_one_after_the_other(self):
        """Different passwords for one name are not tried side by side, so that delays cannot be outrun."""
        tries = [self.sign_in.check(basic("amir", f"try{n}"), ROOM) for n in range(MAX_IN_TURN + 2)]
        self.assertEqual(len(self.threads.jobs), 1)
        self.assertEqual(self.successResultOf(tries[-1]), Refused("too-many-attempts", 1.0))
        self.threads.do()
        for one in tries[:-1]:
            self.assertEqual(self.successResultOf(one).reason, "wrong-password")
        self.assertEqual(self.sign_in._checks._turns, {})

    def test_spraying(self):
        """Who tries one password on all names waits, and only so many such tries may wait."""
        for n in range(int(FREE_PER_ADDRESS)):
            self.judged(f"user{n}", "Spring2026")
        waiting = [self.check(f"user{50 + n}", "Spring2026") for n in range(MAX_DELAYED_PER_ADDRESS)]
        for one in waiting:
            self.assertNoResult(one)
        self.assertEqual(self.judged("user99", "Spring2026").reason, "too-many-attempts")
        self.assertEqual(self.judged("user99", address="10.2.0.1").name, "user99")
        self.clock.advance(4)
        self.threads.do()
        for one in waiting:
            self.assertEqual(self.successResultOf(one).reason, "wrong-password")

    def test_busy(self):
        """When the threads are full the caller is told so; nothing is counted and nothing remembered."""
        self.threads.failure = DirectoryBusy("directory-busy", "too many")
        waiting = [self.sign_in.check(basic("amir"), ROOM) for _ in range(3)]
        for one in waiting:
            self.failureResultOf(one, DirectoryBusy)
        self.threads.failure = None
        self.assertEqual(self.judged("amir"), AMIR)
        self.assertEqual((self.sign_in.counts.down, self.sign_in.counts.failed), (3, 0))

    def test_down(self):
        """Without a directory nobody is let in and nobody is called wrong."""
        sign_in = SignIn(
            People(IdentitySettings()),
            Htpasswd(Path(self.mktemp()), self.clock, self.threads, log=Logger(observer=lambda event: None)),
            SignInMemory(7200, 10, b"k" * 32),
            Attempts(),
            clock=self.clock.seconds,
            reactor=self.clock,
            threads=self.threads,
        )
        self.failureResultOf(sign_in.check(basic("amir"), ROOM), DirectoryDown)

    def test_new_people(self):
        """After a reload the same sign-in gives the new groups."""
        self.judged("amir")
        self.sign_in.people = People(IdentitySettings(groups={"staff": ("amir",)}))
        self.assertEqual(self.recall("amir"), Identity("amir", ("staff",)))


class OwnPasswordTests(SignInCase):
    """Changing the own password."""

    def change(self, old, new, name="amir"):
        done = self.sign_in.change_password(name, ROOM, old, new)
        self.threads.do()
        self.threads.do()
        return self.successResultOf(done)

    def test_change(self):
        """The new password counts at once, the old one no more."""
        self.judged("amir")
        self.assertIsNone(self.change("secret", "correct horse"))
        self.assertIsNone(self.recall("amir"))
        self.assertEqual(self.judged("amir"), Refused("wrong-password"))
        self.assertEqual(self.judged("amir", "correct horse"), AMIR)
        self.assertEqual(self.judged("beth").name, "beth")

    def test_guessing_the_old_one(self):
        """At a screen left alone, the old password cannot be guessed for long."""
        for n in range(FREE_PER_PAIR):
            self.assertEqual(self.change(f"guess{n}", "correct horse").code, "password-wrong")
        problem = self.change("secret", "correct horse")
        self.assertEqual(problem.code, "too-many-attempts")
        self.assertIn("1 s", problem.message)

    def test_disk_full(self):
        """A file that cannot be written is said in words, and the old password stays."""

        def full(descriptor):
            raise OSError(28, "No space left on device")

        self.patch(atomic_file.os, "fsync", full)
        problem = self.change("secret", "correct horse")
        self.assertEqual(problem.code, "password-not-written")
        self.assertIn("No space", problem.message)
        self.assertEqual(self.judged("amir"), AMIR)
