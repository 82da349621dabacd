"""From runs to medians, spread and ratios, and to the tables that show them."""

from __future__ import annotations

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import manual, plot, table
from benchmarks.figures import Row, rows
from benchmarks.measure import Run
from benchmarks.peers import PEERS
from benchmarks.workloads import WORKLOADS, Workload

SVG = "{http://www.w3.org/2000/svg}"
SEEN = {"after": 8e6, "octets": 8e6, "p50_ms": 1.5, "lost": 0, "in_force_seconds": 1.0, "most": 8e6}


def workload(name: str) -> Workload:
    """A workload by its name."""
    return next(one for one in WORKLOADS if one.name == name)


def made(name: str, *runs: tuple[str, float, float | None]) -> list[Row]:
    """The rows of runs that are (proxy, figure, processor time of each)."""
    return rows([workload(name)], [Run(name, peer, figure, cpu, more=SEEN) for peer, figure, cpu in runs])


class FigureTests(SynchronousTestCase):
    """Medians of the good runs, and ratios in which more is better."""

    def test_median_and_spread(self) -> None:
        """One odd run does not move the figure, and shows in the spread."""
        (row,) = made("get", ("corpproxy", 900, 40), ("corpproxy", 1000, 42), ("corpproxy", 10, 400))
        self.assertEqual((row.figure, row.least, row.most, row.cpu_each), (900, 10, 1000, 42))

    def test_rate(self) -> None:
        """More requests a second, and less processor time for each, are both better than Squid."""
        ours, theirs = made("get", ("corpproxy", 2000, 25), ("squid", 1000, 100))
        self.assertEqual((ours.ratio, ours.cpu_ratio), (2, 4))
        self.assertEqual((theirs.ratio, theirs.cpu_ratio), (1, 1))

    def test_less_is_better(self) -> None:
        """Half of Squid's memory, time or pause is shown as twice as good."""
        for name in ("idle-tunnels", "latency", "start", "reload"):
            self.assertEqual(made(name, ("corpproxy", 5, None), ("squid", 10, None))[0].ratio, 2, name)

    def test_remark(self) -> None:
        """A reload tells what was lost in any of its runs, and the most memory."""
        runs = [
            Run("reload", "corpproxy", 30, more={"lost": lost, "in_force_seconds": 2.0, "most": octets})
            for lost, octets in ((0, 200e6), (3, 150e6))
        ]
        self.assertEqual(rows([workload("reload")], runs)[0].remark, "3 lost, in force after 2.0 s, 200 MB")

    def test_without_squid(self) -> None:
        """Where Squid was not measured there is no ratio."""
        (row,) = made("get", ("corpproxy", 2000, 25))
        self.assertEqual((row.ratio, row.cpu_ratio), (None, None))

    def test_fault(self) -> None:
        """A run with a fault counts for nothing, and its reason stays."""
        bad = Run("get", "corpproxy", 5000, 1, fault="50 exchanges failed")
        (row,) = rows([workload("get")], [bad, Run("get", "corpproxy", 100, 90)])
        self.assertEqual((row.figure, row.runs, row.fault), (100, 1, "50 exchanges failed"))

    def test_only_faults(self) -> None:
        """A proxy that never managed a workload has no figure."""
        (row,) = rows([workload("get")], [Run("get", "corpproxy", 5000, 1, fault="refused")])
        self.assertIsNone(row.figure)
        self.assertIn("refused", table.text([row]))


class TableTests(SynchronousTestCase):
    """What people read."""

    def test_text(self) -> None:
        """A workload is named once, with a line for each proxy."""
        shown = table.text(made("get", ("corpproxy", 2000, 25.0), ("squid", 1000, 100)))
        head, _rule, first, second = shown.splitlines()
        self.assertTrue(head.startswith("workload"))
        self.assertEqual(first.split(), "small GET corpproxy 2,000 /s 2.00 25.0 us 4.00 8 MB".split())
        self.assertEqual(second.split(), "squid 1,000 /s 1.00 100.0 us 1.00 8 MB".split())

    def test_bulk(self) -> None:
        """Bulk is told in processor seconds for each GB."""
        self.assertIn("0.35 s/GB", table.text(made("bulk-plain-1", ("corpproxy", 1500, 0.351))))

    def test_numbers(self) -> None:
        """Three digits that mean something."""
        self.assertEqual(
            [table.number(n) for n in (None, 0.7812, 12.345, 12345.6)], ["-", "0.781", "12.3", "12,346"]
        )

    def test_lacking(self) -> None:
        """A proxy that was spared some duties is named, with what it was spared; we and Squid never are."""
        notes = table.lacking(PEERS)
        self.assertIn("trafficserver is measured without sign-in, a list, rules.", notes)
        self.assertFalse([note for note in notes if note.startswith(("corpproxy", "squid"))])


class ManualTests(SynchronousTestCase):
    """The table in the manual."""

    def test_put(self) -> None:
        """Only what stands between the marks is replaced, however often."""
        page = f"Before\n\n{manual.BEGINS}\n\nold\n\n{manual.ENDS}\n\nAfter\n"
        once = manual.put(page, "new")
        self.assertEqual(once, f"Before\n\n{manual.BEGINS}\n\nnew\n\n{manual.ENDS}\n\nAfter\n")
        self.assertEqual(manual.put(once, "new"), once)

    def test_no_marks(self) -> None:
        """A page without the marks is left alone."""
        self.assertRaises(ValueError, manual.put, "no marks", "new")

    def test_page(self) -> None:
        """The page of the manual has the marks, and names every workload and proxy."""
        page = manual.PAGE.read_text()
        manual.put(page, "new")
        for name in (*(one.name for one in WORKLOADS), *(peer.name for peer in PEERS)):
            self.assertIn(f"``{name}``", page)

    def test_table(self) -> None:
        """Each cell stands in a line of its own."""
        shown = table.manual(made("get", ("corpproxy", 2000, 25.0)))
        self.assertTrue(
            shown.startswith(".. list-table::\n   :header-rows: 1\n\n   * - workload\n     - proxy\n")
        )
        self.assertIn("\n   * - small GET\n     - corpproxy\n     - 2,000\n", shown)


class PictureTests(SynchronousTestCase):
    """The picture: a bar for each proxy, from the line that is Squid."""

    def bars(self, *runs: tuple[str, float, float | None]) -> list[dict[str, str]]:
        drawn = ElementTree.fromstring(plot.picture(made("get", *runs)))
        return [bar.attrib for bar in drawn.iter(f"{SVG}rect") if bar.find(f"{SVG}title") is not None]

    def test_bars(self) -> None:
        """A proxy that is better grows to the right of Squid, one that is worse to the left."""
        better, worse = self.bars(("squid", 1000, 80), ("corpproxy", 2000, 40), ("tinyproxy", 500, 160))
        one = plot._at(1)
        self.assertAlmostEqual(float(better["x"]), one, places=0)
        self.assertAlmostEqual(float(worse["x"]) + float(worse["width"]), one, places=0)
        self.assertAlmostEqual(float(better["width"]), float(worse["width"]), places=0)

    def test_off_the_scale(self) -> None:
        """What is better beyond the axis ends at its edge, and its number is told."""
        runs = made("reload", ("squid", 8000, None), ("corpproxy", 10, None))
        drawn = plot.picture(runs)
        self.assertIn(">800.0<", drawn)
        (bar,) = (bar for bar in ElementTree.fromstring(drawn).iter(f"{SVG}rect") if len(bar))
        self.assertLessEqual(float(bar.attrib["x"]) + float(bar.attrib["width"]), plot.WIDTH)

    def test_without_squid(self) -> None:
        """There is nothing to draw where Squid was not measured, and a picture all the same."""
        self.assertEqual(self.bars(("corpproxy", 2000, 40)), [])
