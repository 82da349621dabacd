"""What the proxy counts about itself, and how Prometheus reads it."""

from __future__ import annotations

from functools import partial
from importlib import import_module

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.admin import telemetry as telemetry_module
from corpproxy.admin.exposition import Exposition
from corpproxy.admin.metrics import EXCHANGE_BOUNDS, METRICS, MetricKind
from corpproxy.admin.telemetry import Histogram, Telemetry, count_in_python
from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from tests.support.examples import EXAMPLES
from tests.support.rows import rows, tabular


def record(**more):
    """A closing record with sensible defaults."""
    defaults = {
        "id": "r1", "kind": Kind.EXCHANGE, "at": "2026-11-23T10:00:00Z", "result": ResultCode.FORWARDED,
        "decision": "allow", "method": "GET", "status": 200, "received": 400, "sent": 1000, "seconds": 0.02,
    }  # fmt: skip
    return Record(**(defaults | more))


class TelemetryCase(SynchronousTestCase):
    """A telemetry and the page that is made of it."""

    def setUp(self):
        self.telemetry = Telemetry()
        self.exposition = Exposition(self.telemetry)

    def samples(self):
        """The numbers on the page, by name and label values."""
        _, page = self.exposition.page("")
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(page.decode())
            for sample in family.samples
        }


@tabular
class ExchangeTests(TelemetryCase):
    """Each exchange that ends is counted once."""

    def test_counted(self):
        """Exchanges are counted by decision and result, answers by method and status, octets by direction."""
        for _ in range(3):
            self.telemetry.exchange(record())
        self.telemetry.exchange(
            record(decision="block", result=ResultCode.BLOCKED, status=403, received=1, sent=2)
        )
        samples = self.samples()
        self.assertEqual(samples["corpproxy_exchanges_total", "allow", "forwarded"], 3)
        self.assertEqual(samples["corpproxy_exchanges_total", "block", "blocked"], 1)
        self.assertEqual(samples["corpproxy_answers_total", "GET", "200"], 3)
        self.assertEqual(samples["corpproxy_answers_total", "GET", "403"], 1)
        self.assertEqual(samples["corpproxy_client_bytes_total", "received"], 1201)
        self.assertEqual(samples["corpproxy_client_bytes_total", "sent"], 3002)

    @rows(
        at_bound=(0.05, "0.05", 1),
        below=(0.049, "0.05", 1),
        above=(0.051, "0.05", 0),
        beyond=(1e6, "300.0", 0),
        beyond_all=(1e6, "+Inf", 1),
        nothing=(0.0, "0.001", 1),
    )
    def test_duration(self, seconds, bound, count):
        """An exchange is in each bucket whose bound it does not exceed."""
        self.telemetry.exchange(record(seconds=seconds))
        samples = self.samples()
        self.assertEqual(samples["corpproxy_exchange_duration_seconds_bucket", bound], count)
        self.assertEqual(samples["corpproxy_exchange_duration_seconds_count",], 1)
        self.assertEqual(samples["corpproxy_exchange_duration_seconds_sum",], seconds)

    def test_tunnels_apart(self):
        """Tunnels, which last for hours, do not count among the exchanges' durations."""
        self.telemetry.exchange(record(kind=Kind.CLOSING, method="CONNECT", seconds=3000.0))
        samples = self.samples()
        self.assertEqual(samples["corpproxy_tunnel_duration_seconds_bucket", "3600.0"], 1)
        self.assertEqual(samples["corpproxy_tunnel_duration_seconds_bucket", "900.0"], 0)
        self.assertEqual(samples["corpproxy_exchange_duration_seconds_count",], 0)

    def test_made_up(self):
        """Made-up methods and statuses are counted together, so that nobody can make the page grow."""
        for number in range(100, 1000):
            self.telemetry.exchange(record(method=f"M{number}", status=number))
        names = {key[1:] for key in self.samples() if key[0] == "corpproxy_answers_total"}
        self.assertEqual({method for method, _ in names}, {"other"})
        self.assertIn(("other", "200"), names)
        self.assertIn(("other", "700"), names)
        self.assertNotIn(("other", "799"), names)
        self.assertEqual(
            sum(value for key, value in self.samples().items() if key[0] == "corpproxy_answers_total"), 900
        )

    def test_bounded(self):
        """Past the bound what is usual is still counted right."""
        self.patch(telemetry_module, "MAX_KEYS", 1)
        self.telemetry.exchange(record())
        self.telemetry.exchange(record(status=404))
        self.telemetry.exchange(record(status=404))
        self.assertEqual(self.samples()["corpproxy_answers_total", "GET", "404"], 2)

    def test_no_method(self):
        """A request that could not be read has no method and no status."""
        self.telemetry.exchange(record(method="", status=0, decision="", result=ResultCode.MALFORMED))
        samples = self.samples()
        self.assertEqual(samples["corpproxy_exchanges_total", "", "malformed"], 1)
        self.assertEqual(samples["corpproxy_answers_total", "", "0"], 1)


class MeasureTests(TelemetryCase):
    """What other parts know is asked of them at each scrape."""

    def test_asked_each_time(self):
        """A value is asked for when somebody looks, not before."""
        values = iter([1, 2])
        self.telemetry.measure("corpproxy_open_connections", lambda: next(values))
        self.assertEqual(self.samples()["corpproxy_open_connections",], 1)
        self.assertEqual(self.samples()["corpproxy_open_connections",], 2)

    def test_labels(self):
        """A metric with a label has a number for each of its values."""
        self.telemetry.measure("corpproxy_list_age_seconds", lambda: {"ut1": 60.5, 'odd"\n\\': 1})
        samples = self.samples()
        self.assertEqual(samples["corpproxy_list_age_seconds", "ut1"], 60.5)
        self.assertEqual(samples["corpproxy_list_age_seconds", 'odd"\n\\'], 1)

    def test_not_measured(self):
        """A metric that nobody measures is not on the page."""
        self.assertNotIn("corpproxy_open_tunnels", {name for name, *_ in self.samples()})

    def test_broken_part(self):
        """A part that cannot tell its value is logged; all other metrics are there."""
        self.telemetry.measure("corpproxy_open_tunnels", lambda: 1 / 0)
        self.telemetry.measure("corpproxy_open_connections", lambda: 7)
        self.assertEqual(self.samples()["corpproxy_open_connections",], 7)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_unknown(self):
        """A metric that there is not, or that is counted here, cannot be measured elsewhere."""
        for name in ("corpproxy_open_conections", "corpproxy_exchanges_total"):
            self.assertRaises(ValueError, self.telemetry.measure, name, lambda: 1)

    def test_sign_ins_and_reloads(self):
        """Sign-ins and reloads are there from the start, with nought, so that a rise can be seen."""
        self.assertEqual(self.samples()["corpproxy_sign_ins_total", "failed"], 0)
        self.telemetry.sign_in("failed")
        self.telemetry.reload("taken")
        samples = self.samples()
        self.assertEqual(samples["corpproxy_sign_ins_total", "failed"], 1)
        self.assertEqual(samples["corpproxy_reloads_total", "taken"], 1)
        self.assertEqual(samples["corpproxy_reloads_total", "refused"], 0)


class ExpositionTests(TelemetryCase):
    """The page as a whole."""

    def test_all_metrics(self):
        """Every metric of the table comes out with its kind and its help."""
        for metric in METRICS:
            if metric.measured:
                labels = metric.labels
                key = tuple("x" for _ in labels) if len(labels) > 1 else "x"
                self.telemetry.measure(metric.name, lambda labels=labels, key=key: {key: 1} if labels else 1)
        self.telemetry.exchange(record())
        families = {
            family.name: family
            for family in text_string_to_metric_families(self.exposition.page("")[1].decode())
        }
        for metric in METRICS:
            counter = metric.kind is MetricKind.COUNTER
            family = families[metric.name.removesuffix("_total") if counter else metric.name]
            self.assertEqual((family.type, family.documentation), (metric.kind.value, metric.help))
            self.assertEqual(metric.name.endswith("_total"), counter)
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            self.assertEqual(labels, set(metric.labels))

    def test_process(self):
        """Memory, CPU time and open files of the process are on the page."""
        self.assertIn("process_resident_memory_bytes", {name for name, *_ in self.samples()})

    def test_formats(self):
        """The page comes in the format that the client asks for."""
        plain, _ = self.exposition.page("text/plain")
        self.assertTrue(plain.startswith("text/plain"))
        media_type, page = self.exposition.page("application/openmetrics-text; version=1.0.0")
        self.assertTrue(media_type.startswith("application/openmetrics-text"))
        self.assertTrue(page.endswith(b"# EOF\n"))

    def test_bounds_grow(self):
        """The bounds of the buckets grow."""
        self.assertEqual(list(EXCHANGE_BOUNDS), sorted(set(EXCHANGE_BOUNDS)))


class TwinsTests(SynchronousTestCase):
    """The compiled twin counts as the one in Python does."""

    def setUp(self):
        self.twin = import_module("corpproxy._books")
        self.twin.set_figures(Telemetry, Histogram, Record, Kind.CLOSING, count_in_python)

    def counted(self, count, records):
        """What a telemetry has when some records were counted in this way."""
        telemetry = Telemetry(lambda: 0.0)
        for one in records:
            count(telemetry)(one)
        return (
            telemetry.exchange_counts,
            telemetry.received,
            telemetry.sent,
            telemetry.exchanges,
            telemetry.tunnels,
        )

    @EXAMPLES
    @given(
        st.lists(
            st.builds(
                record,
                kind=st.sampled_from((Kind.EXCHANGE, Kind.CLOSING)),
                method=st.sampled_from(("GET", "CONNECT", "ODD")),
                status=st.sampled_from((200, 299, 0)),
                received=st.integers(0, 2**70),
                seconds=st.floats(0, 1e6) | st.sampled_from((0.05, 300.0, 86_400.0, 3)),
            ),
            max_size=9,
        )
    )
    def test_same(self, records):
        """Whatever comes, and however often."""
        in_python = partial(partial, count_in_python)
        self.assertEqual(self.counted(self.twin.counting, records), self.counted(in_python, records))

    def test_misused(self):
        """What is no record is refused as Python refuses it."""
        for whose, one in ((Telemetry(), None), (None, record())):
            with self.assertRaises((TypeError, AttributeError)):
                self.twin.counting(whose)(one)
