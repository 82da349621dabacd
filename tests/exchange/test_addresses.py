"""Rules that ask in which networks the addresses of a host are, on the road."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.audit.results import ResultCode
from corpproxy.destination.model import AddressClass
from corpproxy.errors import UpstreamError
from corpproxy.exchange.commands import Resolve, Respond
from corpproxy.policy.conditions import What
from corpproxy.policy.model import Effect
from tests.exchange.asking import get
from tests.support.builders import in_force, rule
from tests.support.rows import rows, tabular

HALL = rule("the hall", Effect.BLOCK, what=What(address=(ip_network("10.20.0.0/16"),)))
KIND = rule("inside", Effect.BLOCK, what=What(address=(AddressClass.PRIVATE,)))


@tabular
class NetworkTests(SynchronousTestCase):
    """The host is looked up, and rules are asked with its addresses."""

    @rows(
        there=(("10.20.1.7",), True),
        one_of_them=(("93.184.216.34", "10.20.1.7"), True),
        led_there=(("64:ff9b::10.20.1.7",), True),
        elsewhere=(("93.184.216.34",), False),
    )
    def test_decided(self, addresses, refused):
        """One of its addresses in the network is enough."""
        script = get(force=in_force(HALL))
        script.asks(Resolve).answer(addresses)
        if refused:
            script.asks(Respond).answer()
            self.assertEqual(script.ends().result, ResultCode.BLOCKED)
        self.assertEqual(script.exchange.decision.rule, "the hall" if refused else "everything else")
        self.assertEqual(script.exchange.addresses, frozenset(addresses))

    def test_not_found(self):
        """A host that has no address is in no network."""
        script = get(force=in_force(HALL))
        script.asks(Resolve).fail(UpstreamError("no-such-host", "no such name", phase="resolve"))
        script.asks(Respond).answer()
        script.ends()
        self.assertEqual(script.exchange.addresses, frozenset())

    def test_kind_alone(self):
        """Where no rule asks for a network the addresses themselves are not kept."""
        script = get(force=in_force(KIND))
        script.asks(Resolve).answer(("93.184.216.34",))
        self.assertIsNone(script.exchange.addresses)
