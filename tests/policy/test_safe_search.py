"""Strict search engines and restricted YouTube, by the host that is connected to."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.destination.host import normal_host
from corpproxy.policy.conditions import Who
from corpproxy.policy.safe_search import ENGINES, SafeSearch, SafeSearchEntry, YouTube, engine_of
from tests.policy.builders import AMIR, CAROL, NETWORKS
from tests.support.rows import rows, tabular

SEARCH = SafeSearch(
    [
        SafeSearchEntry(Who(group=("staff",)), engines=()),
        SafeSearchEntry(Who(network=("labs",)), youtube=YouTube.STRICT),
        SafeSearchEntry(engines=("google",), youtube=YouTube.MODERATE),
    ],
    NETWORKS,
)


def dialled(name, identity=AMIR, client="10.1.0.1", search=SEARCH):
    """The host that is connected to."""
    return search.dial_host(normal_host(name), identity, client, "rooms").name


@tabular
class SafeSearchTests(SynchronousTestCase):
    """Who is led where."""

    @rows(
        google=("www.google.com", "forcesafesearch.google.com"),
        country=("www.google.co.uk", "forcesafesearch.google.com"),
        country_com=("www.google.com.au", "forcesafesearch.google.com"),
        country_short=("www.google.de", "forcesafesearch.google.com"),
        catalan=("www.google.cat", "forcesafesearch.google.com"),
        bing=("www.bing.com", "strict.bing.com"),
        duckduckgo=("duckduckgo.com", "safe.duckduckgo.com"),
        ecosia=("www.ecosia.org", "strict-safe-search.ecosia.org"),
        yandex=("yandex.com.tr", "familysearch.yandex.ru"),
        youtube=("www.youtube.com", "restrict.youtube.com"),
        youtube_phone=("m.youtube.com", "restrict.youtube.com"),
        youtube_application=("youtubei.googleapis.com", "restrict.youtube.com"),
        youtube_embedded=("www.youtube-nocookie.com", "restrict.youtube.com"),
        mail=("mail.google.com", "mail.google.com"),
        lookalike=("www.google.com.evil.example", "www.google.com.evil.example"),
        longer=("www.google.example", "www.google.example"),
        videos=("r1.googlevideo.com", "r1.googlevideo.com"),
        another=("www.example.com", "www.example.com"),
    )
    def test_host(self, asked, expected):
        """The strict host of the engine is connected to, any other host as it is."""
        self.assertEqual(dialled(asked), expected)

    @rows(
        first_entry=("www.google.com", CAROL, "10.1.0.1", "www.google.com"),
        staff_youtube=("www.youtube.com", CAROL, "10.1.0.1", "www.youtube.com"),
        elsewhere=("www.google.com", AMIR, "10.9.0.1", "forcesafesearch.google.com"),
        one_engine=("www.bing.com", AMIR, "10.9.0.1", "www.bing.com"),
        moderate=("www.youtube.com", AMIR, "10.9.0.1", "restrictmoderate.youtube.com"),
    )
    def test_who(self, asked, identity, client, expected):
        """The first entry that fits a person counts, whatever the later ones say."""
        self.assertEqual(dialled(asked, identity, client), expected)

    def test_off(self):
        """Without a table nobody is led elsewhere."""
        self.assertEqual(dialled("www.google.com", search=SafeSearch()), "www.google.com")

    def test_every_engine(self):
        """Each engine is told by at least one host, and leads to another one."""
        hosts = ("www.google.com", "www.bing.com", "duckduckgo.com", "www.ecosia.org", "yandex.ru")
        self.assertEqual([engine_of(host) for host in hosts], list(ENGINES))

    def test_network_unknown(self):
        """An entry for a network that does not exist is a ValueError, not an entry for nobody."""
        self.assertRaises(ValueError, SafeSearch, [SafeSearchEntry(Who(network=("lab",)))], NETWORKS)
