"""
How large and how fast an index of category lists is: ``python benchmarks/lists.py [NAMES]``.

Names are made, not downloaded, and are the same each time: words, tenants below shared hosts, hyphens and
numbers as real lists have them.  Times depend on the machine and on what else runs there: read the ratios.
"""

from __future__ import annotations

import contextlib
import gc
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from corpproxy.backends.lists.files import build_lists, index_path
from corpproxy.backends.lists.opening import map_index
from corpproxy.destination.classifier import Classifier
from corpproxy.destination.host import normal_host
from corpproxy.destination.model import Host
from corpproxy.destination.sources import ListSource

NAMES = 5_000_000
SAMPLE = 100_000
CATEGORIES = ("games", "ads", "malware", "social")
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo za bel cor dan fer gil hum".split()
ENDINGS = ("com",) * 12 + (
    "net",
    "org",
    "de",
    "ru",
    "co.uk",
    "info",
    "fr",
    "xyz",
    "top",
    "com.br",
    "pl",
    "shop",
)
HOSTERS = ("pages.example", "blogs.example", "shops.example")


def names(count: int) -> Iterator[str]:
    """Make ``count`` different names."""
    chance = random.Random(20_261_123)
    words = sorted({"".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))) for _ in range(60_000)})
    seen: set[str] = set()
    while len(seen) < count:
        name = chance.choice(words)
        turn = chance.random()
        if turn < 0.5:
            name += chance.choice(words)
        elif turn < 0.7:
            name += "-" + chance.choice(words)
        elif turn < 0.8:
            name += str(chance.randrange(10_000))
        name += "." + (chance.choice(HOSTERS) if turn > 0.92 else chance.choice(ENDINGS))
        if chance.random() < 0.3:
            name = chance.choice(words) + "." + name
        if name not in seen:
            seen.add(name)
            yield name


def microseconds(ask: Callable[[Host], object], hosts: list[Host]) -> float:
    """Time one call, on hosts that differ, by the CPU time that it takes: others may be at work here."""
    gc.collect()
    gc.freeze()
    began = time.process_time()
    for host in hosts:
        ask(host)
    return (time.process_time() - began) / len(hosts) * 1e6


def resident(kind: str) -> float:
    """The resident memory of this process in MiB: ``RssAnon`` its own, ``RssFile`` mapped files."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(kind))


def report(text: str, figure: float, unit: str, limit: float | None = None) -> None:
    """Print one figure, with the limit that it must keep."""
    told = "" if limit is None else f"   (must be under {limit:g}: {'yes' if figure < limit else 'NO'})"
    print(f"{text:44} {figure:10.2f} {unit}{told}")


def write_lists(folder: Path, count: int) -> tuple[list[ListSource], list[str]]:
    """Write the names into one file a category, and give a sample of them."""
    sample = []
    with contextlib.ExitStack() as opened:
        files = [opened.enter_context(open(folder / category, "w")) for category in CATEGORIES]
        for number, name in enumerate(names(count)):
            files[number % len(files)].write(name + "\n")
            if number % (count // SAMPLE or 1) == 0:
                sample.append(name)
    return [ListSource(name, "names", folder / name, name) for name in CATEGORIES], sample


def measure(folder: Path, sample: list[str]) -> None:
    """Open the index in this process and look names up."""
    path = index_path(folder)
    report("index on the disk", path.stat().st_size / 1e6, "MB", 80)
    began = time.perf_counter()
    index = map_index(path)
    report("opened, its checksum included", (time.perf_counter() - began) * 1e3, "ms", 50)
    report("own memory before look-ups", resident("RssAnon"), "MiB")
    hits = [normal_host("www." + name) for name in sample]
    misses = [normal_host("www.x" + name) for name in sample]
    unlike = [normal_host(f"host{number}.intra.example") for number in range(len(sample))]
    report("look-up, name in a list", microseconds(index.categories, hits), "us", 5)
    report("look-up, a name like one in a list", microseconds(index.categories, misses), "us", 5)
    report("look-up, name unlike any", microseconds(index.categories, unlike), "us", 5)
    found = sum(bool(index.categories(host)) for host in hits)
    wrong = sum(bool(index.categories(host)) for host in unlike)
    print(f"found {found} of {len(hits)}, wrongly found {wrong}")
    classifier = Classifier(index)
    few = hits[:20_000]
    report(
        "classify, host not seen before",
        microseconds(lambda h: classifier.classify(h, "https", 443, ""), few),
        "us",
    )
    report(
        "classify, host seen before",
        microseconds(lambda h: classifier.classify(h, "https", 443, ""), few),
        "us",
        1,
    )
    report("own memory after", resident("RssAnon"), "MiB")
    report("mapped, shared by all processes", resident("RssFile"), "MiB")


def main() -> None:
    """Make the lists, build, and measure in a process that has held nothing else."""
    if sys.argv[1:2] == ["measure"]:
        measure(Path(sys.argv[2]), Path(sys.argv[3]).read_text().split())
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else NAMES
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources, sample = write_lists(folder, count)
        print(f"{count} names, {sum(source.path.stat().st_size for source in sources) / 1e6:.1f} MB as text")
        for text in ("built from nothing", "built again, one list changed"):
            began = time.perf_counter()
            build_lists(sources, folder)
            report(text, time.perf_counter() - began, "s")
            with open(sources[0].path, "a") as changed:
                changed.write("changed.example\n")
        report(
            "memory of the building child, at most",
            resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
            "MiB",
        )
        (folder / "sample").write_text("\n".join(sample))
        subprocess.run([sys.executable, __file__, "measure", temporary, str(folder / "sample")], check=True)


if __name__ == "__main__":
    main()
