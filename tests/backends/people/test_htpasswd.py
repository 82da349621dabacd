"""The htpasswd file while people sign in: changed, half written, gone, replaced."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.people import passwords
from corpproxy.backends.people.directory import DirectoryBusy, DirectoryDown
from corpproxy.backends.people.htpasswd import Htpasswd
from corpproxy.backends.people.passwords import DECOY
from corpproxy.backends.watched_file import LOOK_SECONDS
from tests.backends.by_hand import ByHand
from tests.backends.people.test_passwords import APACHE_APR1, APACHE_BCRYPT, APACHE_SHA1, APACHE_SHA256


class HtpasswdTests(SynchronousTestCase):
    """One file, two looks for each change."""

    def setUp(self):
        self.path = Path(self.mktemp())
        self.threads = ByHand()
        self.clock = Clock()
        self.changed = []
        self.events = []
        self.htpasswd = Htpasswd(
            self.path, self.clock, self.threads, self.changed.append, Logger(observer=self.events.append)
        )
        self.addCleanup(self.htpasswd.stop)
        self.write(amir=APACHE_SHA1, beth=APACHE_APR1)
        self.htpasswd.load()
        self.changed.clear()

    def write(self, mode=0o640, **hashes):
        self.put("".join(f"{name}:{written}\n" for name, written in hashes.items()).encode(), mode)

    def put(self, octets, mode=0o640):
        """Replace the file as our own editor does; each time it is another inode."""
        beside = self.path.with_name(self.path.name + ".new")
        beside.write_bytes(octets)
        beside.chmod(mode)
        os.replace(beside, self.path)

    def look(self, times=2):
        for _ in range(times):
            self.clock.advance(LOOK_SECONDS)
            self.threads.do()

    def begin(self, name, password, htpasswd=None):
        """A check that is told to a Deferred."""
        done = Deferred()
        (htpasswd or self.htpasswd).check(name, password, done.callback)
        return done

    def check(self, name, password):
        done = self.begin(name, password)
        self.clock.advance(0)
        self.threads.do()
        return self.successResultOf(done)

    def told(self):
        return [event["problem"] for event in self.events if "problem" in event]

    def test_check(self):
        """The right password lets in; a wrong one, a strange name and a name in other case do not."""
        self.assertIs(self.check("amir", "secret"), True)
        self.assertIs(self.check("beth", "secret"), True)
        self.assertIs(self.check("amir", "Secret"), False)
        self.assertIs(self.check("nobody", "secret"), False)
        self.assertIs(self.check("AMIR", "secret"), False)

    def test_off_the_reactor_thread(self):
        """Nothing is hashed before a thread does it."""
        done = self.begin("amir", "secret")
        self.assertNoResult(done)
        self.threads.do()
        self.assertIs(self.successResultOf(done), True)

    def test_unknown_name_costs_the_same(self):
        """An unknown name is checked against a hash of the kind that the file has."""
        tried = []
        self.patch(passwords, "scheme_of", lambda written: tried.append(written) or passwords.Scheme.SHA1)
        self.check("nobody", "secret")
        self.assertEqual(tried, [APACHE_SHA1])
        self.write()
        self.htpasswd.load()
        self.check("nobody", "secret")
        self.assertEqual(tried[1:], [DECOY])

    def test_changed_names(self):
        """Exactly those whose lines changed, came or went are told."""
        self.htpasswd.start()
        self.write(beth=APACHE_APR1, amir=APACHE_BCRYPT, carol=APACHE_SHA1)
        self.look()
        self.assertEqual(self.changed, [{"amir", "carol"}])
        self.write(amir=APACHE_BCRYPT, carol=APACHE_SHA1)
        self.look()
        self.assertEqual(self.changed[1:], [{"beth"}])
        self.assertEqual(self.htpasswd.names, {"amir", "carol"})

    def test_unchanged(self):
        """A file that is only touched, reordered or commented tells nobody."""
        self.htpasswd.start()
        self.put(f"# sorted\nbeth:{APACHE_APR1}\namir:{APACHE_SHA1}\n".encode())
        self.look(5)
        self.assertEqual(self.changed, [])

    def test_nothing_is_read_without_change(self):
        """Looking costs a stat and no thread."""
        self.htpasswd.start()
        self.look()
        self.clock.advance(LOOK_SECONDS)
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.threads.jobs, [])

    def test_half_written(self):
        """A file that still grows is left alone until it stays the same for a second."""
        self.htpasswd.start()
        with self.path.open("w") as file:
            for name in ("amir", "beth", "carol"):
                file.write(f"{name}:{APACHE_SHA256}\n")
                file.flush()
                self.look(1)
                self.assertEqual(self.changed, [])
        self.look()
        self.assertEqual(self.changed, [{"amir", "beth", "carol"}])

    def test_written_while_it_is_read(self):
        """What changed under the reader's hands is read again and never taken half."""
        self.htpasswd.start()
        self.write(amir=APACHE_BCRYPT)
        self.clock.advance(LOOK_SECONDS)
        self.clock.advance(LOOK_SECONDS)
        ((work, done),) = self.threads.jobs
        reading = work()
        self.threads.jobs.clear()
        done.callback(type(reading)(reading.content, reading.stamp, False, None))
        self.assertEqual(self.changed, [])
        self.look(1)
        self.assertEqual(self.changed, [{"amir", "beth"}])

    def test_gone(self):
        """A file that is gone leaves the people who were known, and is told once, loudly."""
        self.htpasswd.start()
        self.path.unlink()
        self.look(5)
        self.assertIs(self.check("amir", "secret"), True)
        self.assertEqual([one.code for one in self.htpasswd.problems], ["file-unreadable"])
        self.assertEqual(len(self.told()), 1)
        self.assertEqual(self.changed, [])

    def test_back(self):
        """When it is back, what it says counts, and the problem is over."""
        self.htpasswd.start()
        self.path.unlink()
        self.look()
        self.write(amir=APACHE_BCRYPT)
        self.look()
        self.assertEqual(self.htpasswd.problems, ())
        self.assertEqual(self.changed, [{"amir", "beth"}])

    def test_moved_away_and_back(self):
        """The very same file, moved away and back, ends the problem."""
        self.htpasswd.start()
        away = self.path.with_name(self.path.name + ".away")
        self.path.rename(away)
        self.look()
        away.rename(self.path)
        self.look()
        self.assertEqual(self.htpasswd.problems, ())

    def test_not_a_file(self):
        """A folder or a pipe in its place is a problem and holds nothing up."""
        self.htpasswd.start()
        self.path.unlink()
        os.mkfifo(self.path)
        self.look(3)
        (problem,) = self.htpasswd.problems
        self.assertIn("not a file", problem.message)
        self.path.unlink()
        self.path.mkdir()
        self.look(3)
        self.assertEqual([one.code for one in self.htpasswd.problems], ["file-unreadable"])
        self.assertIs(self.check("amir", "secret"), True)

    def test_never_read(self):
        """Where the file never was, nobody can be checked: that is a failure and not a wrong password."""
        htpasswd = Htpasswd(
            Path(self.mktemp()), self.clock, self.threads, log=Logger(observer=self.events.append)
        )
        htpasswd.load()
        self.failureResultOf(self.begin("amir", "secret", htpasswd), DirectoryDown)
        self.assertEqual([one.code for one in htpasswd.problems], ["file-unreadable"])
        self.assertEqual(htpasswd.names, frozenset())

    def test_world_readable(self):
        """A file that everybody can read works, and is a problem until it is mended."""
        self.htpasswd.start()
        self.path.chmod(0o644)
        self.look()
        (problem,) = self.htpasswd.problems
        self.assertEqual(problem.code, "file-world-readable")
        self.assertIn("chmod o-rwx", problem.message)
        self.assertIs(self.check("amir", "secret"), True)
        self.path.chmod(0o640)
        self.look()
        self.assertEqual(self.htpasswd.problems, ())

    def test_odd_line(self):
        """An odd line is told at its place, once, and fails no other."""
        self.htpasswd.start()
        self.put(f"amir:hunter2\nbeth:{APACHE_APR1}\n".encode())
        self.look(5)
        self.assertEqual(len(self.told()), 1)
        self.assertIn(f"{self.path}:1: the password of 'amir'", self.told()[0])
        self.assertIs(self.check("amir", "hunter2"), False)
        self.assertIs(self.check("beth", "secret"), True)

    def test_line_changes_while_checked(self):
        """A password that is changed while the old one is being checked does not let the old one in."""
        done = self.begin("amir", "secret")
        self.write(amir=passwords.hash_password("another secret"))
        self.htpasswd.load()
        self.threads.do()
        self.assertIs(self.successResultOf(done), False)

    def test_line_goes_while_checked(self):
        """Who is taken out while being checked is not let in."""
        done = self.begin("amir", "secret")
        self.write(beth=APACHE_APR1)
        self.htpasswd.load()
        self.threads.do()
        self.clock.advance(0)
        self.assertIs(self.successResultOf(done), False)

    def test_busy(self):
        """When no thread can take more, that is a failure and not a wrong password."""
        self.threads.failure = DirectoryBusy("directory-busy", "too many")
        self.failureResultOf(self.begin("amir", "secret"), DirectoryBusy)

    def test_busy_while_reading(self):
        """A file that could not be read for lack of threads is read at the next look."""
        self.htpasswd.start()
        self.write(amir=APACHE_BCRYPT)
        self.threads.failure = DirectoryBusy("directory-busy", "too many")
        self.look()
        self.assertEqual(self.changed, [])
        self.threads.failure = None
        self.look(1)
        self.assertEqual(self.changed, [{"amir", "beth"}])

    def test_no_memory(self):
        """A check that fails for another reason is a failure, told in the log, and lets nobody in."""

        def verify(password, written):
            raise MemoryError

        self.patch(passwords, "scheme_of", lambda written: verify("", ""))
        done = self.begin("amir", "secret")
        self.threads.do()
        self.failureResultOf(done, DirectoryDown)
        self.assertTrue(any("log_failure" in event for event in self.events))

    def test_damaged_hash(self):
        """A hash whose damage shows only when it is checked lets nobody in."""

        def damaged(written):
            raise passwords.BadHash("damaged")

        self.patch(passwords, "scheme_of", damaged)
        self.assertIs(self.check("amir", "secret"), False)

    def test_bug_in_taking(self):
        """A failure of whoever is told about changes does not end the watch."""
        self.htpasswd.start()
        self.htpasswd.changed = lambda names: 1 / 0
        self.write(amir=APACHE_BCRYPT)
        self.look()
        self.htpasswd.changed = self.changed.append
        self.write(amir=APACHE_SHA1)
        self.look()
        self.assertEqual(self.changed, [{"amir"}])

    def test_own_change(self):
        """What we changed ourselves counts at once."""
        self.write(amir=APACHE_BCRYPT)
        done = self.htpasswd.look(at_once=True)
        self.threads.do()
        self.successResultOf(done)
        self.assertEqual(self.changed, [{"amir", "beth"}])
