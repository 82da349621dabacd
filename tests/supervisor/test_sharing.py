"""What one worker learns of people, and the others believe."""

from __future__ import annotations

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.people.sign_in import Learned, SignIn
from corpproxy.exchange.limits import ConnectionLimits
from corpproxy.identity.attempts import FREE_PER_PAIR, Attempts
from corpproxy.identity.memory import SignInMemory
from corpproxy.identity.people import People
from corpproxy.identity.settings import IdentitySettings
from corpproxy.net.crowd import Crowd, together
from corpproxy.pages.refusals import PastRefusal
from corpproxy.policy.model import Effect
from corpproxy.supervisor.messages import LookAgain, Mistaken, RefusedOnce, SignedIn
from corpproxy.supervisor.teller import ALONE_SECONDS, GATHER_SECONDS, MAX_WAITING, Teller
from tests.backends.people.test_sign_in import AMIR, ROOM, SignInCase, basic
from tests.support.builders import CLIENT, request
from tests.support.wires import Site


class LearnedTests(SignInCase):
    """Two processes with one key and one password file."""

    def setUp(self):
        super().setUp()
        self.told = []
        self.sign_in.tell = self.told.append
        self.other = self.another()

    def another(self):
        """The sign-in of another process."""
        return SignIn(
            People(IdentitySettings(groups={"pupils": ("amir",)})),
            self.htpasswd,
            SignInMemory(7200, 1000, b"k" * 32),
            Attempts(),
            clock=self.clock.seconds,
            reactor=self.clock,
            threads=self.threads,
        )

    def hear(self):
        for learned in self.told:
            self.other.hear(learned)

    def test_right(self):
        """What one checked the other knows; the password itself is not told."""
        self.judged("amir")
        self.hear()
        self.assertEqual(self.other.recall(basic("amir"), self.clock.seconds()), AMIR)
        self.assertNotIn(b"secret", repr(self.told).encode())

    def test_wrong(self):
        """Wrong passwords count in both, and a right one forgives in both."""
        self.guess("amir", FREE_PER_PAIR)
        self.hear()
        now = self.clock.seconds()
        self.assertGreater(self.other._attempts.delay_seconds("amir", ROOM, now), 0)
        wrong = self.other._memory.digest(basic("amir", "wrong0"))
        self.assertTrue(self.other._memory.is_wrong(wrong, now))
        self.other.hear(Learned(b"d", "amir", ROOM, self.other._line("amir"), now, is_right=True))
        self.assertEqual(self.other._attempts.delay_seconds("amir", ROOM, now), 0)

    def test_changed_line(self):
        """What was judged by a line that is no more is not believed, in either order of looking."""
        self.judged("amir")
        self.write("beth")
        self.htpasswd.load()
        self.hear()
        self.assertIsNone(self.other.recall(basic("amir"), self.clock.seconds()))

    def test_change_is_told(self):
        """Who sees the file change says so."""
        changes = []
        self.sign_in.tell_change = lambda: changes.append(True)
        self.htpasswd.changed = self.sign_in._forget
        self.write("amir", "new")
        self.htpasswd.load()
        self.assertEqual(changes, [True])


def past(host="games.test", reference="r"):
    return PastRefusal(reference, 0.0, host, "", Effect.BLOCK, "no games", "", "", "", "v")


class TellerTests(SynchronousTestCase):
    """What goes out, and when."""

    def setUp(self):
        self.clock = Clock()
        self.sent = []

        def send(notices):
            self.sent.append(notices)
            return succeed(None)

        self.teller = Teller(send, self.clock)

    def test_together(self):
        """What comes within a moment is sent together."""
        self.teller.learned(Learned(b"d", "amir", ROOM, b"l", 1.0, is_right=True))
        self.teller.learned(Learned(b"w", "amir", ROOM, b"l", 1.0, is_right=False, is_kept=False))
        self.teller.changed()
        self.assertEqual(self.sent, [])
        self.clock.advance(GATHER_SECONDS)
        right = SignedIn(b"d", "amir", ROOM, b"l", 1.0)
        wrong = Mistaken(b"w", "amir", ROOM, b"l", 1.0, is_kept=False)
        self.assertEqual(self.sent, [(right, wrong, LookAgain())])

    def test_alone(self):
        """Where nobody waits to hear of it a sign-in waits for others; a wrong password waits for nothing."""
        alone = Teller(lambda notices: succeed(self.sent.append(notices)), self.clock, is_alone=True)
        alone.learned(Learned(b"d", "amir", ROOM, b"l", 1.0, is_right=True))
        self.clock.advance(GATHER_SECONDS)
        self.assertEqual(self.sent, [])
        alone.learned(Learned(b"e", "beth", ROOM, b"l", 1.0, is_right=True))
        self.clock.advance(ALONE_SECONDS - GATHER_SECONDS)
        self.assertEqual([[one.name for one in sent] for sent in self.sent], [["amir", "beth"]])
        alone.learned(Learned(b"f", "carol", ROOM, b"l", 1.0, is_right=True))
        alone.learned(Learned(b"w", "dave", ROOM, b"l", 1.0, is_right=False))
        self.clock.advance(GATHER_SECONDS)
        self.assertEqual([one.name for one in self.sent[1]], ["carol", "dave"])

    def test_repeated(self):
        """A page with thirty blocked trackers costs one notice for each, and again at its next visit."""
        for reference in "abc":
            self.teller.refused("amir", past(reference=reference))
        self.clock.advance(GATHER_SECONDS)
        self.assertEqual(self.sent, [(RefusedOnce("amir", past(reference="c"), 3),)])

    def test_bounded(self):
        """Refusals beyond what anybody can look at are left to the record."""
        for number in range(MAX_WAITING + 5):
            self.teller.refused("amir", past(f"h{number}.test"))
        self.clock.advance(GATHER_SECONDS)
        self.assertEqual(sum(map(len, self.sent)), MAX_WAITING)
        self.assertEqual(self.teller.dropped, 5)


class CrowdTests(SynchronousTestCase):
    """Limits over several processes."""

    def site(self, **limits):
        return Site(connections=ConnectionLimits(**limits))

    def test_elsewhere(self):
        """Connections that other processes have open count too."""
        site = self.site(per_address=5)
        site.proxy.admission.elsewhere = Crowd(5, {CLIENT: 5})
        got = site.client().asks(request(b"GET", b"http://www.example.com/"))
        self.assertTrue(bytes(got).startswith(b"HTTP/1.1 429 "))

    def test_total(self):
        """The limit for all is one for all processes."""
        site = self.site(total=5)
        site.proxy.admission.elsewhere = Crowd(5)
        client = site.client()
        site.settle()
        self.assertTrue(client.reset)

    def test_tunnels(self):
        """Tunnels too."""
        site = self.site(tunnels_per_address=3)
        site.proxy.admission.elsewhere = Crowd(3, {}, {}, {CLIENT: 3})
        got = site.client().asks(request(b"CONNECT", b"www.example.com:443"))
        self.assertTrue(bytes(got).startswith(b"HTTP/1.1 429 "))

    def test_told(self):
        """Only who has a share of a limit is told of."""
        site = self.site(per_address=60)
        for _ in range(4):
            site.client()
        site.client(host="10.1.2.4")
        self.assertEqual(site.proxy.admission.crowd(2), Crowd(5, {CLIENT: 4}))

    def test_together(self):
        """What several have is added by key."""
        self.assertEqual(
            together([Crowd(1, {"a": 1}, {"amir": 2}), Crowd(2, {"a": 3, "b": 1})]),
            Crowd(3, {"a": 4, "b": 1}, {"amir": 2}),
        )
