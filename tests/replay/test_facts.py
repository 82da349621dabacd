"""A record gives back the facts that were decided on, and says which it does not hold."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.model import AddressClass
from corpproxy.identity.model import Identity
from corpproxy.policy.model import Answer
from corpproxy.replay.facts import facts_of, gaps_of
from tests.audit.test_record import a_record
from tests.support.rows import rows, tabular


def of(**fields):
    """A record of a request for a host by name."""
    asked = {"host": "www.example.com", "port": 80, "method": "GET", "path": "/", "media_type": "text/html"}
    placed = {"countries": ("GB",), "asns": ("AS786",), "resolved": ("192.0.2.7",)}
    return a_record(**{**asked, **placed, **fields})


@tabular
class FactsTests(SynchronousTestCase):
    """Facts and gaps."""

    def test_facts(self):
        """Everything that rules read is as it was."""
        who = {"user": "amir", "groups": ("pupils",), "source": "basic", "client": "10.1.2.3"}
        asked = of(**who, listener="rooms", scheme="http", categories=("news",), addresses=("public",))
        facts = facts_of(asked)
        self.assertEqual(facts.identity, Identity("amir", ("pupils",), "basic"))
        self.assertEqual((facts.client, facts.listener, facts.method), ("10.1.2.3", "rooms", "GET"))
        self.assertEqual((facts.host.name, facts.port, facts.path), ("www.example.com", 80, "/"))
        self.assertEqual((facts.categories, facts.at), (("news",), 1_795_428_000.123))
        self.assertEqual(facts.address_classes, frozenset({AddressClass.PUBLIC}))

    def test_literal_address(self):
        """A host that is an address is one again."""
        facts = facts_of(of(host="10.0.0.7", resolved=()))
        self.assertEqual(str(facts.host.address), "10.0.0.7")
        self.assertEqual((facts.address_classes, facts.addresses), ({AddressClass.PRIVATE}, {"10.0.0.7"}))

    @rows(
        nothing=({"addresses": ("public",)}, {}, False),
        query=({"addresses": ("public",), "left_out": ("query",)}, {}, True),
        agent=({"addresses": ("public",), "left_out": ("agent",)}, {"agent": "the User-Agent"}, False),
        cut_agent=({"addresses": ("none",), "agent": "x" * 299 + "…"}, {"agent": "the User-Agent"}, False),
        cut_path=(
            {"addresses": ("none",), "path": "/" + "x" * 2046 + "…"},
            {"path": "the whole path"},
            False,
        ),
        blank=({"addresses": ("none",), "path": "/a;jsessionid=***"}, {"path": "the whole path"}, False),
        cut_method=(
            {"addresses": ("none",), "method": "X" * 63 + "…"},
            {"method": "the whole method"},
            False,
        ),
        addresses=({}, {"address_classes": "the addresses of the host"}, False),
        themselves=(
            {"addresses": ("public",), "resolved": ()},
            {"addresses": "the addresses of the host"},
            False,
        ),
        unresolved=({"addresses": ("none",), "resolved": ()}, {}, False),
        answer=({"addresses": ("none",), "media_type": ""}, {"answer": "what the answer was"}, False),
        countries=(
            {"addresses": ("none",), "countries": ()},
            {"countries": "the countries of the host"},
            False,
        ),
        asns=({"addresses": ("none",), "asns": ()}, {"asns": "the networks of the host"}, False),
        tunnel=({"addresses": ("none",), "media_type": "", "method": "CONNECT"}, {}, False),
        literal=({"host": "10.0.0.7"}, {}, False),
    )
    def test_gaps(self, fields, missing, query):
        """What was left out, cut or blanked is known to be missing."""
        gaps = gaps_of(of(**fields))
        self.assertEqual((dict(gaps.facts), gaps.query), (missing, query))

    def test_places(self):
        """Where the host was is as it was known."""
        facts = facts_of(of())
        self.assertEqual((facts.countries, facts.asns, facts.addresses), ({"GB"}, {786}, {"192.0.2.7"}))
        self.assertEqual(facts_of(of(asns=("none",))).asns, frozenset())
        facts = facts_of(of(countries=(), asns=()))
        self.assertEqual((facts.countries, facts.asns), (None, None))

    @rows(
        stated=({"media_type": "video/mp4", "size": 5}, Answer("video/mp4", 5)),
        not_stated=({"media_type": "unknown"}, Answer()),
        no_content=({"media_type": "none"}, Answer("none", is_there=False)),
        not_recorded=({"media_type": ""}, None),
    )
    def test_answer(self, fields, expected):
        """What rules were told of the answer is as it was."""
        self.assertEqual(facts_of(of(**fields)).answer, expected)

    def test_unresolved(self):
        """A host that could not be looked up has no addresses, which is a fact."""
        self.assertEqual(facts_of(of(addresses=("none",))).address_classes, frozenset())


class ForgottenTests(SynchronousTestCase):
    """What was erased since, or was nobody's business, is not taken for absent."""

    def missing(self, **fields) -> set[str]:
        return set(gaps_of(a_record(user="amir", host="a.test", addresses=("public",), **fields)).facts)

    def test_erased(self) -> None:
        """Of what was erased it is said that it is not known."""
        before = self.missing()
        self.assertEqual(self.missing(erased={"url": "00"}) - before, {"path"})
        self.assertLessEqual({"identity.name", "client"}, self.missing(erased={"who": "00"}))
        self.assertIn("host.name", self.missing(erased={"where": "00"}))

    def test_left_out(self) -> None:
        """So it is of what the levels by category and pseudonyms leave out."""
        self.assertLessEqual({"host.name", "port", "path"}, self.missing(left_out=("host", "path")))
        self.assertLessEqual({"identity.name", "client"}, self.missing(left_out=("user",)))
