"""The manual page of the metrics says what the proxy serves."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import corpproxy
from corpproxy.admin.metrics import BY_NAME, EXCHANGE_BOUNDS, METRICS, TUNNEL_BOUNDS

DOCS = Path(corpproxy.__file__).parents[1] / "docs"
ROW = re.compile(r"   \* - ``(\w+)``\n     - (\w+)\n     - (.+)\n     - (.+)\n")


class MetricsPageTests(SynchronousTestCase):
    """Table and code agree, row by row."""

    def setUp(self):
        self.page = (DOCS / "reference" / "metrics.rst").read_text()

    def test_same_metrics(self):
        """The page has each metric, in the order of the code, with its kind, labels and meaning."""
        written = [
            (name, kind, tuple(re.findall(r"``(\w+)``", labels)), text.replace("``", ""))
            for name, kind, labels, text in ROW.findall(self.page)
        ]
        self.assertEqual(written, [(each.name, each.kind.value, each.labels, each.help) for each in METRICS])

    def test_bounds(self):
        """The page has the bounds of the buckets."""
        for bounds in (EXCHANGE_BOUNDS, TUNNEL_BOUNDS):
            self.assertIn("     - " + ", ".join(f"{bound:g}" for bound in bounds) + "\n", self.page)

    def test_labels_explained(self):
        """Each label is explained, or is plain from its metric's meaning."""
        explained = self.page.partition("Labels\n------")[2]
        labels = {label for metric in METRICS for label in metric.labels} - {"version", "direction"}
        self.assertEqual([label for label in sorted(labels) if f"``{label}``" not in explained], [])

    def test_expressions(self):
        """The expressions of the how-to page use metrics that there are."""
        page = (DOCS / "howto" / "monitoring.rst").read_text()
        names = {re.sub("_bucket$", "", name) for name in re.findall(r"corpproxy_\w+", page)}
        self.assertTrue(names)
        self.assertEqual(names - set(BY_NAME), set())
