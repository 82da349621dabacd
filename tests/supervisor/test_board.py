"""The board: what a worker that begins later is told."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.erasure import Erasure
from corpproxy.identity.attempts import FORGET_SECONDS
from corpproxy.pages.refusals import LIFE_SECONDS, PastRefusal
from corpproxy.policy.model import Effect
from corpproxy.supervisor import board
from corpproxy.supervisor.board import BATCH, Board
from corpproxy.supervisor.messages import Granted, LookAgain, Mistaken, RefusedOnce, SignedIn

ROOM = "10.1.4.9"


def signed_in(digest=b"d", name="amir", at=0.0):
    return SignedIn(digest, name, ROOM, b"line", at)


def mistaken(digest=b"w", name="amir", at=0.0):
    return Mistaken(digest, name, ROOM, b"line", at)


def refused(host="games.test", at=0.0, times=1, reference="r"):
    return RefusedOnce(
        "amir", PastRefusal(reference, at, host, "", Effect.BLOCK, "no games", "", "", "", "v"), times
    )


class BoardTests(SynchronousTestCase):
    """What is kept, and for how long."""

    def setUp(self):
        self.time = 0.0
        self.board = Board(lambda: self.time, 7200)

    def worth(self):
        return [notice for batch in self.board.batches() for notice in batch]

    def test_kept(self):
        """Sign-ins, attempts and refusals are told; attempts before sign-ins, which forgive."""
        beth = signed_in(b"b", "beth")
        self.board.post([beth, mistaken(), refused()])
        self.assertEqual(self.worth(), [mistaken(), beth, refused()])

    def test_not_kept(self):
        """Grants are in the store, and a file that changed is read anew anyway."""
        self.board.post([Granted(("amir", "h", "r", 1.0, "amir", "")), LookAgain()])
        self.assertEqual(self.worth(), [])

    def test_forgiven(self):
        """Who signs in owes nothing any more."""
        self.board.post([mistaken(), signed_in()])
        self.assertEqual(self.worth(), [signed_in()])

    def test_wrong_now(self):
        """A value that is wrong now was right before: only the later holds."""
        self.board.post([signed_in(b"x"), mistaken(b"x")])
        self.assertEqual(self.worth(), [mistaken(b"x")])

    def test_lives(self):
        """Each kind is forgotten when it holds no more."""
        self.board.post([signed_in(name="beth"), mistaken(), refused()])
        self.time = FORGET_SECONDS
        self.assertEqual(self.worth(), [signed_in(name="beth"), refused()])
        self.time = 7200
        self.assertEqual(self.worth(), [refused()])
        self.time = LIFE_SECONDS
        self.assertEqual(self.worth(), [])

    def test_repeated(self):
        """A refusal that repeats is one, with its last moment and how often it was."""
        self.board.post([refused(), refused(at=5.0, times=3)])
        self.assertEqual(self.worth(), [refused(at=5.0, times=4)])

    def test_erased(self):
        """A worker that begins later is not told of refusals that were erased; of later ones it is."""
        self.board.post([signed_in(), refused(at=1.0), refused("other.test", at=9.0)])
        self.board.forget(Erasure(user="amir", until=5.0))
        self.assertEqual(self.worth(), [signed_in(), refused("other.test", at=9.0)])

    def test_bounded(self):
        """Each kind is bounded, and the oldest goes first."""
        self.patch(board, "MAX_SIGNED_IN", 2)
        self.board = Board(lambda: self.time, 7200)
        self.board.post([signed_in(bytes([n])) for n in range(5)])
        self.assertEqual([one.digest for one in self.worth()], [b"\x03", b"\x04"])

    def test_right_again(self):
        """A value that was right, wrong and right again is right; one that was wrong last is not told."""
        self.board.post([signed_in(b"x"), mistaken(b"x"), signed_in(b"x", at=5.0), signed_in(b"y")])
        self.assertEqual(self.worth(), [signed_in(b"x", at=5.0), signed_in(b"y")])
        self.board.post([mistaken(b"y", at=6.0)])
        self.assertEqual(self.worth(), [mistaken(b"y", at=6.0), signed_in(b"x", at=5.0)])

    def test_told_twice(self):
        """Who signed in with two workers is told once, as it was last."""
        self.board.post([signed_in(b"x"), signed_in(b"y"), signed_in(b"x", at=9.0)])
        self.assertEqual(self.worth(), [signed_in(b"y"), signed_in(b"x", at=9.0)])

    def test_wrong_ones_bounded(self):
        """What is not known to be wrong any more is not told as right either."""
        self.patch(board, "MAX_MISTAKEN", 2)
        self.board = Board(lambda: self.time, 7200)
        self.board.post([signed_in(b"x", "amir"), *(mistaken(bytes([n]), f"user{n}") for n in range(2))])
        self.assertIn(signed_in(b"x", "amir"), self.worth())
        self.board.post([mistaken(b"x", "amir"), mistaken(b"2", "user2"), mistaken(b"3", "user3")])
        self.board.post([mistaken(b"4", "user4"), signed_in(b"z", "beth")])
        self.assertEqual(
            [one for one in self.worth() if one.name in {"amir", "beth"}], [signed_in(b"z", "beth")]
        )

    def test_old_ones_go(self):
        """Sign-ins that hold no more take no memory, however many there were."""
        for number in range(5000):
            self.time = number * 10.0
            self.board.post([signed_in(number.to_bytes(2, "big") * 8, f"user{number}", at=self.time)])
        self.assertEqual(len(self.board), 720)
        self.assertLess(len(self.board._signed_in._octets), 256 * 1024)
        self.assertEqual(self.worth()[0].at, self.time - 7190)

    def test_batches(self):
        """What is told comes in pieces that fit into boxes."""
        self.board.post([signed_in(n.to_bytes(2, "big")) for n in range(2 * BATCH + 1)])
        self.assertEqual([len(batch) for batch in self.board.batches()], [BATCH, BATCH, 1])
