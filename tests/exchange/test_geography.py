"""Rules that ask where an address is, on the road."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.exchange.commands import Resolve, Respond
from corpproxy.policy.conditions import What
from corpproxy.policy.model import Effect
from tests.exchange.asking import get
from tests.support.builders import in_force, rule
from tests.support.rows import rows, tabular

ABROAD = rule("not from there", Effect.BLOCK, what=What(not_=What(country=("GB",))))
NETWORK = rule("not that network", Effect.BLOCK, what=What(asn=(64500,)))


class Known:
    """What is known of the addresses of a test."""

    def countries(self, addresses):
        table = {"192.0.2.1": frozenset({"GB"}), "192.0.2.2": frozenset({"FR"})}
        return table.get(addresses[0])

    def asns(self, addresses):
        return frozenset({64500}) if addresses[0] == "192.0.2.2" else frozenset()


@tabular
class GeographyTests(SynchronousTestCase):
    """The host is looked up, and rules are asked with what is known of its addresses."""

    @rows(
        at_home=(ABROAD, "192.0.2.1", False),
        abroad=(ABROAD, "192.0.2.2", True),
        not_known=(ABROAD, "192.0.2.3", True),
        network=(NETWORK, "192.0.2.2", True),
        other_network=(NETWORK, "192.0.2.1", False),
    )
    def test_decided(self, asks, address, refused):
        """What is not known is refused."""
        force = replace(in_force(asks), geography=Known())
        script = get(force=force)
        script.asks(Resolve).answer((address,))
        if refused:
            script.asks(Respond).answer()
            self.assertEqual(script.ends().result, ResultCode.BLOCKED)
        self.assertEqual(script.exchange.decision.rule, asks.name if refused else "everything else")

    def test_without_databases(self):
        """Without a database that can be read, rules that refuse by it refuse everything."""
        script = get(force=in_force(NETWORK))
        script.asks(Resolve).answer(("192.0.2.1",))
        script.asks(Respond).answer()
        self.assertEqual(script.ends().decision.rule, "not that network")
