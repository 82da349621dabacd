"""Where nobody is asked to sign in."""

from __future__ import annotations

import math
from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.errors import Place
from corpproxy.identity.model import ANONYMOUS, EXEMPT
from corpproxy.identity.people import People
from corpproxy.identity.settings import IdentitySettings, NetworkIdentity
from corpproxy.policy.conditions import What, Who
from corpproxy.policy.exempt import UNKNOWN_KEYS, Exemption, Exemptions
from tests.policy.builders import LESSONS, MONDAY, NETWORKS, facts, local
from tests.support.rows import rows, tabular

PEOPLE = People(
    IdentitySettings(networks=(NetworkIdentity("labs", (ip_network("10.1.0.0/16"),), "labs", ("devices",)),))
)
ENTRIES = (
    Exemption(what=What(domain=("windowsupdate.com", "198.51.100.7"))),
    Exemption(Who(network=("wifi", "192.0.2.0/24"))),
    Exemption(Who(network=("203.0.113.0/24",)), What(domain=("radio.example",))),
    Exemption(what=What(category=("news",), not_=What(method=("POST",))), when=(LESSONS,)),
)
ELSEWHERE = "198.51.100.200"


def asked(url, client=ELSEWHERE, **more):
    """The facts of somebody without a name."""
    return facts(url, ANONYMOUS, client=client, **more)


@tabular
class ExemptTests(SynchronousTestCase):
    """Which exchanges need no name."""

    @rows(
        itself=("http://windowsupdate.com/", ELSEWHERE, True),
        below=("https://download.windowsupdate.com/", ELSEWHERE, True),
        not_a_suffix=("http://notwindowsupdate.com/", ELSEWHERE, False),
        above=("http://com/", ELSEWHERE, False),
        address=("http://198.51.100.7/", ELSEWHERE, True),
        network=("http://www.example.com/", "10.2.0.1", True),
        range=("http://www.example.com/", "192.0.2.9", True),
        other_network=("http://www.example.com/", ELSEWHERE, False),
        both=("http://www.radio.example/", "203.0.113.1", True),
        one_of_two=("http://www.radio.example/", ELSEWHERE, False),
        nonsense_address=("http://www.example.com/", "?", False),
    )
    def test_place(self, url, client, expected):
        """An exempt destination or network is asked for nothing; where both are given, both must hold."""
        found = Exemptions(ENTRIES, NETWORKS).holding(asked(url, client))
        self.assertIs(found is not None, expected)

    @rows(
        all_of_it=({"categories": ("news",)}, True),
        another_category=({"categories": ("games",)}, False),
        not_this_method=({"categories": ("news",), "method": "POST"}, False),
        another_hour=({"categories": ("news",), "at": local("2026-11-23T20:00")}, False),
    )
    def test_grammar(self, more, expected):
        """Categories, methods and times count as in a rule."""
        found = Exemptions(ENTRIES, NETWORKS).holding(asked("http://a.example/", **more))
        self.assertIs(found is not None, expected)

    def test_domain_is_no_part_of_an_address(self):
        """The last numbers of an address are no domain."""
        self.assertIsNone(
            Exemptions([Exemption(what=What(domain=("100.7",)))]).holding(asked("http://198.51.100.7/"))
        )

    def test_who(self):
        """A network names its clients first; then exemptions let through; the rest must sign in."""
        exemptions = Exemptions(ENTRIES, NETWORKS)
        self.assertEqual(exemptions.who(asked("http://windowsupdate.com/", "10.1.4.5"), PEOPLE).name, "labs")
        self.assertEqual(exemptions.who(asked("http://windowsupdate.com/"), PEOPLE), EXEMPT)
        self.assertIsNone(exemptions.who(asked("http://www.example.com/"), PEOPLE))

    def test_which(self):
        """The identity tells by which entry it is let through."""
        places = [Place("policy.yaml", line, 9) for line in (4, 5)]
        whats = (What(domain=("a.example",)), What(domain=("b.example",)))
        table = Exemptions([Exemption(what=what, place=at) for what, at in zip(whats, places, strict=True)])
        for host, line in (("a", 4), ("b", 5)):
            known = table.who(asked(f"http://{host}.example/"), PEOPLE)
            self.assertEqual(known.exempt_by, f"policy.yaml:{line}:9")
            self.assertIs(known, table.who(asked(f"http://{host}.example/"), PEOPLE))

    def test_nothing(self):
        """An entry that asks nothing exempts nobody, and neither does a table without entries."""
        for entries in ((), (Exemption(),)):
            exemptions = Exemptions(entries)
            self.assertIsNone(exemptions.holding(asked("http://www.example.com/")))
            self.assertEqual((exemptions.reads, exemptions.next_change(MONDAY)), (frozenset(), math.inf))

    @rows(
        named=(What(category=("news",)),),
        excluded=(What(not_=What(category=("games",))),),
        uncategorised=(What(uncategorised=True),),
    )
    def test_list_missing(self, what):
        """While a list is missing, what rests on it exempts nobody."""
        exemptions = Exemptions([Exemption(what=what)])
        found = ("news",) if what.category else ()
        self.assertIsNotNone(exemptions.holding(asked("http://a.example/", categories=found)))
        missing = exemptions.with_missing(frozenset({"news", "games"}))
        self.assertIsNone(missing.holding(asked("http://a.example/")))

    def test_next_change(self):
        """It says when its hours begin or end."""
        self.assertEqual(Exemptions(ENTRIES, NETWORKS).next_change(MONDAY), local("2026-11-23T15:30"))

    def test_reads(self):
        """What entries look at is told, and what cannot be known is told apart."""
        self.assertEqual(
            Exemptions(ENTRIES, NETWORKS).reads, {"host", "client", "categories", "method", "at"}
        )
        self.assertEqual(
            list(UNKNOWN_KEYS), "user group anonymous address country asn media_type size".split()
        )
