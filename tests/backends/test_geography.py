"""Databases of addresses: what they tell, and what counts as not known."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends.geography import (
    Databases,
    UnreadableDatabase,
    _asn_of,
    _country_of,
    geography_problems,
    open_geography,
)
from corpproxy.destination.geography import GeographySettings
from tests.support.realdata import real_data
from tests.support.rows import rows, tabular


@tabular
class EntryTests(SynchronousTestCase):
    """The entries of several makers."""

    @rows(
        used=(_country_of, {"country": {"iso_code": "GB"}, "registered_country": {"iso_code": "US"}}, "GB"),
        registered=(_country_of, {"registered_country": {"iso_code": "us"}}, "US"),
        lean=(_country_of, {"country_code": "DE"}, "DE"),
        neither=(_country_of, {"continent": {"code": "EU"}}, None),
        number=(_asn_of, {"autonomous_system_number": 13335}, 13335),
        text=(_asn_of, {"asn": "AS786"}, 786),
        no_number=(_asn_of, {}, None),
    )
    def test_read(self, read, entry, expected):
        """The country in which an address is used counts, then that where it is registered."""
        self.assertEqual(read(entry), expected)


class MissingTests(SynchronousTestCase):
    """Files that are no databases."""

    def test_none_named(self):
        """Without databases nothing is known."""
        self.assertIsNone(open_geography(GeographySettings()))

    def test_no_file(self):
        """A file that is gone is told, and nothing is known."""
        settings = GeographySettings(country=Path("/nowhere/x.mmdb"))
        self.assertEqual([one.code for one in geography_problems(settings)], ["bad-geography"])
        self.assertRaises(UnreadableDatabase, Databases, settings)
        self.assertIsNone(open_geography(settings))


@tabular
class DatabaseTests(SynchronousTestCase):
    """Real databases, with the addresses that their makers test with."""

    if importlib.util.find_spec("maxminddb") is None:
        skip = "maxminddb is not installed"

    def setUp(self):
        countries, asns = (real_data(f"geoip/GeoLite2-{name}-Test.mmdb") for name in ("Country", "ASN"))
        self.known = Databases(GeographySettings(countries, asns))

    @rows(
        one=(("81.2.69.142",), {"GB"}),
        several=(("81.2.69.142", "216.160.83.56"), {"GB", "US"}),
        private=(("10.0.0.7",), set()),
        private_too=(("10.0.0.7", "81.2.69.142"), {"GB"}),
        not_there=(("93.184.216.34",), None),
        one_not_there=(("81.2.69.142", "93.184.216.34"), None),
        none=((), set()),
    )
    def test_countries(self, addresses, expected):
        """All public addresses must be known; others are in no country."""
        for _ in range(2):
            self.assertEqual(self.known.countries(addresses), expected)

    def test_asns(self):
        """The network that has an address."""
        self.assertEqual(self.known.asns(("1.128.0.0",)), {1221})
        self.assertIsNone(self.known.asns(("81.2.69.142",)))

    def test_only_one(self):
        """What has no database is not known."""
        known = Databases(GeographySettings(country=real_data("geoip/GeoLite2-Country-Test.mmdb")))
        self.assertIsNone(known.asns(("1.128.0.0",)))

    def test_broken(self):
        """A damaged database is told where that shows, and else knows nothing of what cannot be read."""
        broken = GeographySettings(country=real_data("geoip/MaxMind-DB-test-broken-search-tree-24.mmdb"))
        known = open_geography(broken)
        if known is not None:
            self.assertIsNone(known.countries(("1.1.1.1",)))
        torn = GeographySettings(country=real_data("geoip/GeoLite2-Country-Test.source.json.gz"))
        self.assertEqual([one.code for one in geography_problems(torn)], ["bad-geography"])
