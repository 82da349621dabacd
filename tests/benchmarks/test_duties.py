"""The duties of a run: the same rules in the words of each proxy, and the proof that they are done."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import duties, fixtures
from benchmarks.duties import ALL, BARE, LOGIN, MANY, Duties, Neglected
from benchmarks.peers.corpproxy import Corpproxy
from benchmarks.peers.peer import Peer
from benchmarks.peers.squid import Squid
from benchmarks.place import Place
from benchmarks.workloads import WORKLOADS, Kind
from corpproxy.backends.policies.files import DISK
from corpproxy.config.load import load_policy
from tests.support.rows import rows, tabular

EVERY = {"bare": (BARE,), "login": (LOGIN,), "all": (ALL,), "many": (MANY,)}


class DutyCase(SynchronousTestCase):
    """A folder with small fixtures, outside of any namespace."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.place = Place(folder, private=False, proxy_core=None, load_core=None)
        self.fixtures = fixtures.make(folder / "fixtures", domains=100, users=25)


@tabular
class RuleTests(DutyCase):
    """Twenty rules, whatever the duties."""

    @rows(**EVERY)
    def test_corpproxy(self, asked: Duties) -> None:
        """Our policy loads without a problem, with every rule."""
        peer = Corpproxy(self.place, self.fixtures, asked)
        peer.lay_out()
        known = frozenset({"listed"}) if asked.listed else None
        loaded = load_policy(peer.policy, DISK, known_categories=lambda _state: known)
        self.assertEqual([str(problem) for problem in loaded.problems if problem.is_error], [])
        assert loaded.configuration is not None
        names = [rule.name for rule in loaded.configuration.policy.rules]
        self.assertEqual(names, [rule.name for rule in duties.rules(asked)])

    @rows(**EVERY)
    def test_squid(self, asked: Duties) -> None:
        """Squid takes its configuration without a complaint, with a line for every rule."""
        program = Squid.found()
        if program is None:
            self.skipTest("Squid is not installed; 'make test-deps' installs it")
        peer = Squid(self.place, self.fixtures, asked)
        peer.lay_out()
        # It reads its files as a user of its own, who cannot see into the folders of tests.
        words = [program, "-k", "parse", "-f", str(peer.folder / "squid.conf")]
        said = subprocess.run(words, capture_output=True, text=True, check=False)
        complaints = [line for line in said.stderr.splitlines() if "FATAL" in line or "ERROR" in line]
        self.assertEqual((said.returncode, complaints), (0, []), said.stderr[-2000:])
        lines = [line for line in "\n".join(peer.lines()).splitlines() if line.startswith("http_access")]
        self.assertGreaterEqual(len(lines), len(duties.rules(asked)))

    def test_twenty(self) -> None:
        """There are twenty rules, and the last one asks nothing."""
        self.assertEqual(len(duties.RULES), 20)
        self.assertEqual(duties.RULES[-1], duties.Rule("everything else", "allow"))

    def test_without_sign_in(self) -> None:
        """Where nobody signs in, no rule asks who it is."""
        self.assertFalse([rule for rule in duties.rules(BARE) if rule.group or rule.user or rule.listed])


class FixtureTests(DutyCase):
    """People and names."""

    def test_domains(self) -> None:
        """The names are all different, and the same each time."""
        names = self.fixtures.domains.read_text().split()
        self.assertEqual(len(set(names)), 100)
        self.assertEqual(names, list(fixtures.domain_names(100)))
        self.assertEqual(self.fixtures.dotted.read_text().split(), [f".{name}" for name in names])

    def test_people(self) -> None:
        """One in twenty is barred; those who are not stand in a file of their own."""
        everyone, people = (
            path.read_text().split() for path in (self.fixtures.everyone, self.fixtures.people)
        )
        self.assertEqual(len(everyone), 25)
        self.assertEqual(set(everyone) - set(people), {duties.BARRED})
        self.assertIn(duties.SOMEBODY, people)

    def test_htpasswd(self) -> None:
        """The passwords are hashed as htpasswd does it."""
        from passlib.hash import apr_md5_crypt

        name, _, hashed = self.fixtures.htpasswd.read_text().split()[7].partition(":")
        self.assertTrue(apr_md5_crypt.verify(duties.SOMEBODY.partition(":")[2], hashed))
        self.assertEqual(name, "user0007")


class Careless(Peer):
    """A proxy that lets everybody through."""

    name = "careless"
    port = 1
    can_login = can_list = can_rule = True

    def records(self) -> list[Path]:
        return []


class ProofTests(DutyCase):
    """A proxy that does less than it says is not measured."""

    def answering(self, *statuses: int) -> Careless:
        """A proxy that gives these statuses, one after the other."""
        left = list(statuses)
        self.patch(duties, "fetch", lambda *ignored: left.pop(0))
        self.patch(duties, "PATIENCE", 0.0)
        return Careless(self.place, self.fixtures, ALL)

    def neglected(self, *statuses: int) -> str:
        """What is said against a proxy that gives these statuses."""
        peer = self.answering(*statuses)
        return str(self.assertRaises(Neglected, duties.prove, peer, ALL, self.fixtures, self.place))

    def test_no_sign_in(self) -> None:
        """Answering without credentials is found out."""
        self.assertIn("no credentials gives 200, not 407", self.neglected(200, 200))

    def test_no_list(self) -> None:
        """Answering for a name of the list is found out."""
        self.assertIn("which is listed gives 200, not 403", self.neglected(200, 407, 407, 403, 200))

    def test_no_record(self) -> None:
        """A proxy that records nothing is found out."""
        self.assertIn("0 lines of record for 8 requests", self.neglected(200, 407, 407, *[403] * 5))


class WorkloadTests(SynchronousTestCase):
    """The table of workloads."""

    def test_names(self) -> None:
        """Every workload has a name of its own."""
        self.assertEqual(len({one.name for one in WORKLOADS}), len(WORKLOADS))

    def test_together(self) -> None:
        """Workloads with the same duties stand together, so that proxies are started once for all of them."""
        order = [one.duties.name for one in WORKLOADS]
        self.assertEqual(len(set(order)), 1 + sum(a != b for a, b in pairwise(order)))

    def test_pace(self) -> None:
        """What sets the pace comes before what goes at it."""
        order = [one.name for one in WORKLOADS]
        paced = next(one.name for one in WORKLOADS if one.kind is Kind.PACED)
        self.assertLess(order.index("get-all"), order.index(paced))
