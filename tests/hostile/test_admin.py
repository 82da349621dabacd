"""The admin listener, asked by those who should not see it."""

from __future__ import annotations

from tests.admin.test_site import SiteCase
from tests.support.rows import rows, tabular


@tabular
class AdminTests(SiteCase):
    """Without a token only programs on the machine itself are answered."""

    @rows(
        rebinding=(("Host: evil.example",),),
        rebinding_below=(("Host: localhost.evil.example",),),
        through_a_proxy=(("Host: localhost", "Via: 1.1 corpproxy"),),
        through_a_proxy_by_address=(("Host: 127.0.0.1:8081", "Via: 1.0 a, 1.1 b"),),
    )
    def test_refused(self, fields):
        """A page in a browser, and a person behind the proxy, get nothing to see."""
        for path in ("/", "/metrics", "/ready", "/health"):
            status, _, content = self.ask(f"GET {path}", *fields)
            self.assertEqual(status, 403)
            self.assertNotIn("corpproxy_", content)

    def test_whole_url(self):
        """A whole URL in the request line does not stand in for the Host field."""
        self.assertEqual(self.ask("GET http://localhost/metrics", "Host: evil.example")[0], 403)
