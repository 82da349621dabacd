"""The class of an address is the worst of all that it leads to."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination import addresses as module
from corpproxy.destination.addresses import SEVERITY, address_class, networks
from tests.support.rows import rows, tabular


@tabular
class AddressClassTests(SynchronousTestCase):
    """Addresses and their classes."""

    @rows(
        dns=("8.8.8.8", "public"),
        first_public=("1.0.0.0", "public"),
        this_host=("0.0.0.0", "loopback"),
        this_network=("0.1.2.3", "reserved"),
        ten=("10.255.255.255", "private"),
        below_carrier=("100.63.255.255", "public"),
        carrier=("100.64.0.0", "carrier-grade"),
        carrier_end=("100.127.255.255", "carrier-grade"),
        above_carrier=("100.128.0.0", "public"),
        alibaba=("100.100.100.200", "metadata"),
        loopback=("127.255.255.254", "loopback"),
        azure_agent=("168.63.129.16", "metadata"),
        link_local=("169.254.0.1", "link-local"),
        metadata=("169.254.169.254", "metadata"),
        aws_container=("169.254.170.2", "metadata"),
        below_172=("172.15.255.255", "public"),
        private_172=("172.16.0.0", "private"),
        private_172_end=("172.31.255.255", "private"),
        above_172=("172.32.0.0", "public"),
        protocol=("192.0.0.1", "reserved"),
        anycast=("192.0.0.9", "public"),
        oracle=("192.0.0.192", "metadata"),
        documentation_1=("192.0.2.255", "reserved"),
        relay_6to4=("192.88.99.1", "reserved"),
        private_192=("192.168.1.1", "private"),
        benchmark=("198.19.255.255", "reserved"),
        documentation_2=("198.51.100.1", "reserved"),
        documentation_3=("203.0.113.1", "reserved"),
        multicast=("224.0.0.1", "multicast"),
        multicast_end=("239.255.255.255", "multicast"),
        future=("240.0.0.1", "reserved"),
        broadcast=("255.255.255.255", "reserved"),
    )
    def test_ipv4(self, address: str, kind: str) -> None:
        """IPv4, at the edges of the blocks."""
        self.assertEqual(address_class(address), kind)
        self.assertEqual(address_class(IPv4Address(address)), kind)

    @rows(
        dns=("2001:4860:4860::8888", "public"),
        unspecified=("::", "loopback"),
        loopback=("::1", "loopback"),
        discard=("100::1", "reserved"),
        protocol=("2001:100::1", "reserved"),
        benchmark=("2001:2::1", "reserved"),
        orchid=("2001:10::1", "reserved"),
        documentation=("2001:db8::1", "reserved"),
        documentation_2=("3fff::1", "reserved"),
        as112=("2001:4:112::1", "public"),
        segments=("5f00::1", "reserved"),
        nobodys=("4000::1", "reserved"),
        unique_local=("fd12:3456::1", "private"),
        unique_local_c=("fc00::1", "private"),
        aws=("fd00:ec2::254", "metadata"),
        google=("fd20:ce::254", "metadata"),
        link_local=("fe80::1", "link-local"),
        zone=("fe80::1%eth0", "link-local"),
        site_local=("fec0::1", "private"),
        multicast=("ff02::1", "multicast"),
    )
    def test_ipv6(self, address: str, kind: str) -> None:
        """IPv6; what is given to nobody is reserved."""
        self.assertEqual(address_class(address), kind)
        self.assertEqual(address_class(IPv6Address(address)), kind)

    @rows(
        mapped=("::ffff:10.0.0.1", "private"),
        mapped_public=("::ffff:8.8.8.8", "public"),
        compatible=("::127.0.0.1", "loopback"),
        compatible_public=("::8.8.8.8", "reserved"),
        translated=("::ffff:0:169.254.169.254", "metadata"),
        nat64=("64:ff9b::169.254.169.254", "metadata"),
        nat64_public=("64:ff9b::8.8.8.8", "public"),
        nat64_documentation=("64:ff9b::192.0.2.33", "reserved"),
        site_nat64=("64:ff9b:1::8.8.8.8", "private"),
        site_nat64_96=("64:ff9b:1::169.254.169.254", "metadata"),
        site_nat64_48=("64:ff9b:1:a9fe:a9:fe00::", "metadata"),
        site_nat64_56=("64:ff9b:1:a9:fe:a9fe::", "metadata"),
        site_nat64_64=("64:ff9b:1:0:a9:fea9:fe00:0", "metadata"),
        sixto4=("2002:7f00:1::1", "loopback"),
        sixto4_public=("2002:808:808::1", "public"),
        teredo_client=("2001:0:808:808::f5ff:fffe", "private"),
        teredo_server=("2001:0:a00:1::f7f7:f7f7", "private"),
        teredo_public=("2001:0:808:808::f7f7:f7f7", "public"),
    )
    def test_embedded(self, address: str, kind: str) -> None:
        """An address with another one inside has the worse class of the two."""
        self.assertEqual(address_class(address), kind)

    def test_table(self) -> None:
        """The ends of a row are at least as bad as the row, where no longer row has them."""
        table = list(networks())
        for network, kind, whose in table:
            for address in (network[0], network[-1]):
                longest = max((n for n, _, _ in table if address in n), key=lambda n: n.prefixlen)
                if longest == network:
                    given_class = address_class(address)
                    self.assertGreaterEqual(
                        SEVERITY.index(given_class), SEVERITY.index(kind), (address, whose)
                    )

    def test_no_address(self) -> None:
        """A name is no address."""
        self.assertRaises(ValueError, address_class, "example.com")

    def test_bounded(self) -> None:
        """What is remembered is bounded."""
        self.patch(module, "MAX_REMEMBERED", 5)
        self.patch(module, "remembered", {})
        for i in range(50):
            address_class(f"192.0.2.{i}")
            self.assertLessEqual(len(module.remembered), 5)

    @given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
    def test_agrees(self, address: IPv4Address | IPv6Address) -> None:
        """Nothing that Python's own tables call private, loopback, link-local or multicast is public."""
        marked = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
        exceptions = [n for n, kind, _ in networks() if kind == "public" and n.prefixlen > 3]
        if marked and not any(address in network for network in exceptions):
            self.assertNotEqual(address_class(address), "public")

    def test_manual(self) -> None:
        """The manual names every class, in the order of what it leads to."""
        page = Path(__file__).parents[2] / "docs" / "explanation" / "hosts.rst"
        self.assertIn("From harmless to worst: " + ", ".join(SEVERITY) + ".", page.read_text())
        self.assertEqual(
            set(re.findall(r"^   \* - ``([a-z-]+)``$", page.read_text(), re.MULTILINE)), set(SEVERITY)
        )
