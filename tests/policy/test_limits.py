"""Which limits hold for an exchange, and whose octets each of them counts."""

from __future__ import annotations

from datetime import UTC
from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.host import normal_host
from corpproxy.identity.model import ANONYMOUS, Identity
from corpproxy.identity.people import People
from corpproxy.identity.settings import IdentitySettings
from corpproxy.policy.amounts import amount_text, parse_rate, rate_text
from corpproxy.policy.calendar import Hours, parse_spans
from corpproxy.policy.cases import Case, run_cases
from corpproxy.policy.conditions import What, When, Who
from corpproxy.policy.decide import Policy
from corpproxy.policy.limits import Limit, Limits, Per
from corpproxy.policy.model import Facts
from corpproxy.policy.question import Surroundings
from corpproxy.policy.set_limits import EVERYBODY, OF_POLICY, SetLimit, SetLimits
from tests.support.builders import ALLOW, CLIENT, MONDAY, domain
from tests.support.rows import rows, tabular

MIB = 1 << 20
AMIR = Identity("amir", ("chess", "pupils"))
NETWORKS = {"lab": [ip_network("10.1.0.0/16")], "hall": [ip_network("2001:db8::/32")]}
AFTERNOON = When("afternoon", Hours(spans=parse_spans("13:00-15:00"), time_zone=UTC))


def facts(identity=AMIR, client=CLIENT, host="films.example", categories=("films",), at=MONDAY):
    return Facts(identity, client, "rooms", "GET", "http", normal_host(host), 80, "/", categories, at)


@tabular
class AmountTests(SynchronousTestCase):
    """Amounts of octets for people."""

    @rows(
        few=(1023, "1023 B"),
        whole=(1 << 20, "1 MiB"),
        small=(1536, "1.5 KiB"),
        three_digits=(317_850, "310 KiB"),
        large=(5 << 41, "10 TiB"),
    )
    def test_amount(self, octets, expected):
        """They have three digits or so, in the largest unit of which there is one."""
        self.assertEqual(amount_text(octets), expected)


@tabular
class FindTests(SynchronousTestCase):
    """A table of limits."""

    def found(self, *limits, **more):
        return [(one.limit.name, one.whom) for one in Limits(limits, NETWORKS).find(facts(**more))]

    def test_all_that_match(self):
        """Every limit that matches holds, not only the first."""
        limits = (
            Limit("each"),
            Limit("films", what=domain("films.example")),
            Limit("maps", what=domain("maps.example")),
        )
        self.assertEqual(self.found(*limits), [("each", "amir"), ("films", "amir")])

    @rows(
        user=(Per.USER, ["amir"]),
        site=(Per.SITE, [""]),
        device=(Per.DEVICE, [CLIENT]),
        groups=(Per.GROUP, ["chess", "pupils"]),
        category=(Per.CATEGORY, ["films"]),
        network=(Per.NETWORK, ["lab"]),
    )
    def test_members(self, per, members):
        """Whose octets are counted together."""
        self.assertEqual(self.found(Limit("one", per=per)), [("one", whom) for whom in members])

    def test_named_group(self):
        """A limit that names a group counts that one, and no other of the person's."""
        self.assertEqual(self.found(Limit("one", Who(group=("pupils",)), per=Per.GROUP)), [("one", "pupils")])

    def test_named_category(self):
        """A limit that names a category counts that one."""
        limit = Limit("one", what=What(category=("films",)), per=Per.CATEGORY)
        self.assertEqual(self.found(limit, categories=("films", "games")), [("one", "films")])

    def test_without_a_name(self):
        """Who has no name is one device; IPv6 is as good as IPv4."""
        more = {"identity": ANONYMOUS, "client": "2001:db8::1"}
        self.assertEqual(self.found(Limit("one"), **more), [("one", "2001:db8::1")])
        self.assertEqual(self.found(Limit("one", per=Per.NETWORK), **more), [("one", "hall")])
        self.assertEqual(self.found(Limit("one", per=Per.GROUP), **more), [("one", "")])

    def test_hours(self):
        """A limit with hours holds in them, and says when that changes."""
        limit = Limit("one", when=(AFTERNOON,))
        self.assertEqual(self.found(limit), [])
        self.assertEqual(self.found(limit, at=MONDAY + 3 * 3600), [("one", "amir")])
        self.assertEqual(Limits([limit]).next_change(MONDAY) - MONDAY, 2.25 * 3600)


class SetTests(SynchronousTestCase):
    """Limits of the policy together with those that were set."""

    def entry(self, name, whom, **more):
        return SetLimit(name, whom, Per.USER, MIB, MIB, "carol", "exam", MONDAY, **more)

    def among(self, *entries):
        limits = SetLimits()
        limits.entries = entries
        own = [Limit("each", download=9 * MIB, upload=9 * MIB)]
        return [(one.name, one.download // MIB) for one in limits.among(own, NETWORKS)]

    def test_other_rate(self):
        """A limit of the policy has another rate."""
        self.assertEqual(self.among(self.entry("each", OF_POLICY)), [("each", 1)])

    def test_more(self):
        """One more stands beside those of the policy."""
        self.assertEqual(self.among(self.entry("all", EVERYBODY)), [("each", 9), ("all", 1)])

    def test_policy_changed(self):
        """One whose limit or network the policy has no more changes nothing."""
        gone = self.entry("old", OF_POLICY), self.entry("cellar", "network:cellar")
        self.assertEqual(self.among(*gone), [("each", 9)])

    def test_ends(self):
        """One for a while holds until its end."""
        entry = self.entry("each", OF_POLICY, until=MONDAY + 60)
        self.assertTrue(entry.holds(MONDAY + 59))
        self.assertFalse(entry.holds(MONDAY + 60))


@tabular
class RateTests(SynchronousTestCase):
    """Rates as they are written."""

    @rows(
        kib=("256KiB/s", 256 * 1024),
        mib=("40MiB/s", 40 * MIB),
        bits=("100Mbit/s", 12_500_000),
        octets=("5001B/s", 5001),
    )
    def test_read(self, written, rate):
        """A rate in octets or in bits, read and written."""
        told = rate_text(rate)
        self.assertEqual((parse_rate(written), told.replace(" ", "")), (rate, written))
        # What is shown with a space can be written so.
        self.assertRegex(told, r"^\d+ \w+/s$")
        self.assertEqual(parse_rate(told), rate)

    @rows(
        unit=("1MB/s",),
        none=("fast",),
        time=("1MiB",),
        small=("1B/s",),
        large=("999999GiB/s",),
        sign=("-1MiB/s",),
    )
    def test_wrong(self, written):
        """What is no rate, or an absurd one, is refused with a sentence."""
        self.assertRaises(ValueError, parse_rate, written)


class CaseTests(SynchronousTestCase):
    """Tests of the policy that say which limits must hold."""

    def failures(self, wanted):
        limits = Limits(
            [Limit("each", download=MIB, upload=MIB), Limit("films", what=domain("films.example"))]
        )
        case = Case("http://films.example/", "allow", at=MONDAY, limits=wanted)
        around = Surroundings(lambda *asked: ((), ()), People(IdentitySettings()), "rooms")
        return [one.message for one in run_cases(Policy([ALLOW]), around, [case], MONDAY, limits=limits)]

    def test_holds(self):
        """A test passes with the limits that hold, all of them, and where it says nothing of limits."""
        self.assertEqual(self.failures(frozenset({"each", "films"})), [])
        self.assertEqual(self.failures(None), [])

    def test_fails(self):
        """One that names others fails, and tells the rates of those that hold."""
        (message,) = self.failures(frozenset({"each"}))
        said = "expected the limits 'each', got 'each' (1 MiB/s each way), 'films' (as fast as it goes)"
        self.assertTrue(message.startswith(said), message)
