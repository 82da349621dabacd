"""Groups and rooms."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.identity.model import Identity
from corpproxy.identity.people import People
from corpproxy.identity.settings import IdentitySettings, NetworkIdentity
from tests.support.rows import rows, tabular


def network(name, *addresses, user="", groups=()):
    return NetworkIdentity(name, tuple(ip_network(one) for one in addresses), user or name, groups)


SETTINGS = IdentitySettings(
    groups={"staff": ("carol",), "pupils": ("amir", "beth"), "choir": ("amir",), "quiet": ("wall",)},
    networks=(
        network("site", "10.0.0.0/8", "2001:db8::/32", user="anyone"),
        network("print-room", "10.1.4.0/24", groups=("devices",)),
        network("wall", "10.1.4.9/32", "2001:db8:1::/64"),
    ),
)


@tabular
class PeopleTests(SynchronousTestCase):
    """Names and addresses become identities."""

    def setUp(self):
        self.people = People(SETTINGS, {"amir": ("club",), "dora": ("pupils", "choir")})

    @rows(
        both=("amir", ("choir", "club", "pupils")),
        policy=("carol", ("staff",)),
        file=("dora", ("choir", "pupils")),
        none=("erik", ()),
        case=("Amir", ()),
    )
    def test_groups(self, name, groups):
        """Groups come from the policy and the groups file, sorted; none is no problem."""
        self.assertEqual(self.people.identity(name), Identity(name, groups, "basic"))

    def test_groups_from(self):
        """Each group stands beside where it is written; of several places the policy's table is told."""
        amir = self.people.identity("amir")
        self.assertEqual(
            (amir.groups, amir.groups_from), (("choir", "club", "pupils"), ("policy", "file", "policy"))
        )
        dora = self.people.identity("dora")
        self.assertEqual((dora.groups, dora.groups_from), (("choir", "pupils"), ("file", "file")))

    def test_same_object(self):
        """A name gives the same object until the groups change, so that decisions are remembered by it."""
        first = self.people.identity("amir")
        self.assertIs(self.people.identity("amir"), first)
        self.people.take_groups({"amir": ("chess",)})
        self.assertEqual(self.people.identity("amir").groups, ("chess", "choir", "pupils"))

    @rows(
        room=("10.1.4.5", "print-room", ("devices",)),
        device=("10.1.4.9", "wall", ("quiet",)),
        rest=("10.9.9.9", "anyone", ()),
        ipv6=("2001:db8:1::5", "wall", ("quiet",)),
        ipv6_rest=("2001:db8:2::5", "anyone", ()),
        mapped=("::ffff:10.1.4.5", "print-room", ("devices",)),
        scope=("2001:db8:1::5%eth0", "wall", ("quiet",)),
    )
    def test_network(self, address, user, groups):
        """The most specific network names the client, with its groups and those of its user."""
        self.assertEqual(self.people.by_network(address), Identity(user, groups, "network"))
        self.assertIs(self.people.by_network(address), self.people.by_network(address))

    @rows(outside=("203.0.113.1",), nonsense=("/run/socket",), empty=("",))
    def test_no_network(self, address):
        """Other addresses have no identity of their own."""
        self.assertIsNone(self.people.by_network(address))

    def test_network_user_in_file(self):
        """A groups file reaches the users of networks too."""
        self.people.take_groups({"wall": ("bright",)})
        self.assertEqual(self.people.by_network("10.1.4.9").groups, ("bright", "quiet"))

    def test_members(self):
        """Everybody who is in a group is listed with all groups."""
        self.assertEqual(list(self.people.members()), ["amir", "beth", "carol", "dora", "wall"])
        self.assertEqual(self.people.members()["amir"], ("choir", "club", "pupils"))
