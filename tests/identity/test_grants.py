"""Grants: one person, one host, one rule, until then."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.model import Host
from corpproxy.identity.grants import (
    ANY_RULE,
    GROUP,
    MAX_PER_GRANTEE,
    NETWORK,
    Grant,
    Grants,
    grantee,
)
from corpproxy.identity.model import ANONYMOUS, Identity
from tests.support.rows import rows, tabular

AMIR = Identity("amir", ("pupils",))


def grant(who="amir", host="casino.example", rule="gambling", until=2000.0):
    return Grant(who, host, rule, until, given_by="amir", why="confirmed a warning")


@tabular
class GrantsTests(SynchronousTestCase):
    """Which grants hold."""

    def setUp(self):
        self.grants = Grants()

    def until(self, *asked):
        """Until when somebody is let through; 0 when not."""
        held = self.grants.holds(*asked)
        return held.until if held is not None else 0

    @rows(
        itself=("casino.example", "gambling", 2000.0),
        below=("www.casino.example", "gambling", 2000.0),
        beside=("mycasino.example", "gambling", 0),
        above=("example", "gambling", 0),
        other_rule=("casino.example", "games", 0),
    )
    def test_host_and_rule(self, name, rule, until):
        """A grant is for one host and all below it, past one rule."""
        self.grants.add(grant())
        self.assertEqual(self.until(AMIR, "10.0.0.1", Host(name), rule, 1999.0), until)

    def test_until(self):
        """A grant ends when it says."""
        self.grants.add(grant())
        self.assertEqual(self.until(AMIR, "", Host("casino.example"), "gambling", 2000.0), 0)

    def test_longest(self):
        """Where two grants hold, the one that ends last counts."""
        self.grants.add(grant(host="www.casino.example", until=1500.0))
        self.grants.add(grant(until=1900.0))
        self.assertEqual(self.until(AMIR, "", Host("www.casino.example"), "gambling", 1000.0), 1900.0)

    def test_other_person(self):
        """A grant lets nobody else through, not even from the same address."""
        self.grants.add(grant())
        beth = Identity("beth", ("pupils",))
        self.assertEqual(self.until(beth, "10.0.0.1", Host("casino.example"), "gambling", 1000.0), 0)

    def test_address(self):
        """Where nobody signed in, a grant is for the client address."""
        self.grants.add(grant(who=grantee(ANONYMOUS, "10.0.0.1")))
        host = Host("casino.example")
        self.assertEqual(self.until(ANONYMOUS, "10.0.0.1", host, "gambling", 1000.0), 2000.0)
        self.assertEqual(self.until(ANONYMOUS, "10.0.0.2", host, "gambling", 1000.0), 0)
        self.assertEqual(self.until(AMIR, "10.0.0.1", host, "gambling", 1000.0), 0)

    def test_address_host(self):
        """A grant for an IP address is for it alone."""
        self.grants.add(grant(host="7.9"))
        host = Host("198.51.7.9", ip_address("198.51.7.9"))
        self.assertEqual(self.until(AMIR, "", host, "gambling", 1000.0), 0)

    def test_again(self):
        """Confirming again lengthens the one grant."""
        self.grants.add(grant())
        self.grants.add(grant(until=3000.0))
        self.assertEqual(len(self.grants), 1)
        self.assertEqual(self.until(AMIR, "", Host("casino.example"), "gambling", 2500.0), 3000.0)

    def test_expire(self):
        """What ended is let go of and given, for the record."""
        self.grants.add(grant())
        self.grants.add(grant(host="poker.example", until=1500.0))
        self.assertEqual([one.host for one in self.grants.expire(1600.0)], ["poker.example"])
        self.assertEqual([one.host for one in self.grants.all(1600.0)], ["casino.example"])
        self.assertEqual(len(self.grants), 1)

    def test_version(self):
        """Each coming and going can be noticed, so that remembered decisions are made anew."""
        seen = {self.grants.version}
        self.grants.add(grant())
        seen.add(self.grants.version)
        self.grants.expire(9000.0)
        seen.add(self.grants.version)
        self.assertEqual(len(seen), 3)

    def test_kept(self):
        """Grants outlive a restart; those that ended meanwhile do not come back."""
        self.grants.add(grant())
        self.grants.add(grant(host="poker.example", until=1500.0))
        again = Grants()
        again.load(self.grants.all(1000.0), 1700.0)
        self.assertEqual(again.all(1700.0), (grant(),))

    def test_one_person_is_bounded(self):
        """Who confirms too many warnings loses the own grant that ends first, and nobody else one."""
        self.grants.add(grant(who="beth"))
        for n in range(MAX_PER_GRANTEE + 10):
            self.grants.add(grant(host=f"h{n}.example", until=3000.0 + n))
        self.assertEqual(len(self.grants), MAX_PER_GRANTEE + 1)
        self.assertEqual(self.until(AMIR, "", Host("h9.example"), "gambling", 1000.0), 0)
        self.assertEqual(self.until(AMIR, "", Host("h10.example"), "gambling", 1000.0), 3010.0)

    def test_all_are_bounded(self):
        """Past the limit the grant that ends first goes."""
        grants = Grants(limit=3)
        for n in range(5):
            grants.add(grant(who=f"user{n}", until=2000.0 + n))
        self.assertEqual([one.who for one in grants.all(0.0)], ["user2", "user3", "user4"])

    def test_limit_of_one(self):
        """The grant just made is held, whatever had to go."""
        grants = Grants(limit=1)
        for host in ("a.example", "b.example"):
            grants.add(grant(host=host))
        self.assertEqual([one.host for one in grants.all(0.0)], ["b.example"])

    def test_any_rule(self):
        """A grant past no rule by name goes past each that may be overridden."""
        self.grants.add(grant(rule=ANY_RULE))
        self.assertEqual(self.until(AMIR, "", Host("casino.example"), "whatever", 1000.0), 2000.0)

    def test_also(self):
        """What the pages of a host need is opened with it, each past its own rule."""
        one = replace(grant(), also=(("cdn.example", "gambling"), ("ads.example", "no ads")))
        self.grants.add(one)
        self.assertEqual(one.hosts, ("casino.example", "cdn.example", "ads.example"))
        self.assertEqual(self.until(AMIR, "", Host("a.cdn.example"), "gambling", 1000.0), 2000.0)
        self.assertEqual(self.until(AMIR, "", Host("ads.example"), "no ads", 1000.0), 2000.0)
        self.assertEqual(self.until(AMIR, "", Host("ads.example"), "gambling", 1000.0), 0)

    @rows(
        member=(AMIR, 2000.0),
        other=(Identity("beth", ("pupils",)), 2000.0),
        outsider=(Identity("carol", ("staff",)), 0),
        nobody=(ANONYMOUS, 0),
    )
    def test_group(self, identity, until):
        """A grant for a group is for everybody in it."""
        self.grants.add(grant(who=GROUP + "pupils"))
        self.assertEqual(self.until(identity, "10.0.0.1", Host("casino.example"), "gambling", 1000.0), until)

    @rows(
        pupil=(AMIR, "10.0.0.1", 2000.0),
        teacher=(Identity("carol", ("staff",)), "10.0.0.1", 0),
        elsewhere=(AMIR, "10.9.0.1", 0),
    )
    def test_room(self, identity, client, until):
        """A grant for a room is for those in it, and among them for those it is meant for."""
        self.grants.rooms = lambda address: ("lab",) if address == "10.0.0.1" else ()
        self.grants.add(replace(grant(who=NETWORK + "lab"), among=("pupils",)))
        self.assertEqual(self.until(identity, client, Host("casino.example"), "gambling", 1000.0), until)

    def test_ended(self):
        """A grant that is ended is gone at once; an unknown one is none."""
        self.grants.add(replace(grant(), id="one"))
        before = self.grants.version
        self.assertEqual(self.grants.end("one").host, "casino.example")
        self.assertEqual((len(self.grants), self.grants.end("one")), (0, None))
        self.assertNotEqual(self.grants.version, before)
        self.assertEqual(self.until(AMIR, "", Host("casino.example"), "gambling", 1000.0), 0)

    def test_told_twice(self):
        """A grant that is told again, as another process may do, is still one."""
        for _ in range(2):
            self.grants.add(replace(grant(), id="one"))
        self.assertEqual(len(self.grants), 1)
        self.assertEqual(self.grants.get("one").until, 2000.0)
