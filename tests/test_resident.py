"""Memory that nobody uses is given back, and nothing is lost with it."""

import mmap
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy import twins
from corpproxy.resident import give_back_files, give_back_free, of_nobody, rest, untouched
from tests.support.rows import rows, tabular

PAGES = 40


def smaps(permissions: str, path: str, anonymous: int = 0) -> list[str]:
    """What the kernel tells of one mapping."""
    return [
        f"7f0000001000-7f0000003000 {permissions} 00000000 08:01 {1234 if path else 0}       {path}",
        "Size:                  8 kB",
        "Rss:                   8 kB",
        f"Anonymous:             {anonymous} kB",
        "VmFlags: rd mr mw me",
    ]


@tabular
class UntouchedTests(SynchronousTestCase):
    @rows(
        code=("r-xp", "/usr/lib/libx.so", 0),
        constants=("r--p", "/usr/lib/libx.so", 0),
        shared_file=("r--s", "/var/lib/corpproxy/lists.index", 0),
        path_with_spaces=("r--p", "/opt/school proxy/libx.so", 0),
    )
    def test_given_back(self, permissions, path, anonymous):
        """A mapping that holds what its file holds is given back, from its start on and as long as it is."""
        self.assertEqual(list(untouched(smaps(permissions, path, anonymous))), [(0x7F0000001000, 0x2000)])

    @rows(
        table_of_addresses=("r--p", "/usr/lib/libx.so", 4),
        variables=("rw-p", "/usr/lib/libx.so", 0),
        written_by_others=("rw-s", "/var/lib/corpproxy/quotas.db-shm", 0),
        memory=("r--p", "", 0),
        stack=("rw-p", "[stack]", 8),
        kernel=("r-xp", "[vdso]", 0),
    )
    def test_kept(self, permissions, path, anonymous):
        """What the file has not, or somebody may write, stays as it is."""
        self.assertEqual(list(untouched(smaps(permissions, path, anonymous))), [])

    def test_next_to_one_of_a_file(self):
        """Each mapping is judged by its own lines."""
        both = smaps("r-xp", "/usr/lib/libx.so")[:3] + smaps("rw-p", "", 0)
        self.assertEqual(list(untouched(both)), [])


class GiveBackTests(SynchronousTestCase):
    def resident(self, path: Path) -> int:
        """The octets of a file that are in the memory of this process."""
        lines = Path("/proc/self/smaps").read_text().splitlines()
        at = next(number for number, line in enumerate(lines) if line.endswith(str(path)))
        rss = next(line for line in lines[at:] if line.startswith("Rss:"))
        return int(rss.split()[1]) * 1024

    def test_file(self):
        """Pages of a file that were read leave our memory, and are there when they are read again."""
        path = Path(self.mktemp()).absolute()
        octets = bytes(range(256)) * 16 * PAGES
        path.write_bytes(octets)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            self.assertEqual(mapped[:], octets)
            self.assertEqual(self.resident(path), len(octets))
            give_back_files()
            self.assertEqual(self.resident(path), 0)
            self.assertEqual(mapped[:], octets)

    def test_program(self):
        """The program itself runs on: what it needs comes back."""
        give_back_free()
        give_back_files()
        with tempfile.TemporaryFile() as file:
            self.assertEqual(file.write(b"x"), 1)


# What waited for a disk: it grows line by line, as a batch of records does, and others grow beside it.
_BACKLOG = """
import sys
from pathlib import Path
from corpproxy import twins
from corpproxy.resident import keep_little

def own():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))

if sys.argv[1] == "little":
    keep_little()
del (large := bytearray(8 << 20))[:]
before, waits, kept = own(), bytearray(), []
for _ in range(8000):
    waits += bytes(700)
    kept.append(bytes(600))
del waits
print(own() - before)
"""


class KeepLittleTests(SynchronousTestCase):
    def grown(self, how: str) -> int:
        """By how many kB a process is larger after records waited in it."""
        told = subprocess.run(
            [sys.executable, "-c", _BACKLOG, how], capture_output=True, text=True, check=True
        )
        return int(told.stdout)

    def test_backlog(self):
        """Memory that a backlog took is given back when it is over, although others have grown since."""
        self.assertLess(self.grown("little"), 6500)


def memory(kilobytes: int, *, path: str = "", permissions: str = "rw-p", flags: str = "") -> list[str]:
    """What the kernel tells of a piece of memory."""
    end = f"{0x7F0000000000 + kilobytes * 1024:x}"
    return [
        f"7f0000000000-{end} {permissions} 00000000 00:00 0 {path:>20}\n",
        f"Rss:               {kilobytes} kB\n",
        f"VmFlags: rd wr mr mw me ac sd {flags}\n",
    ]


@tabular
class OfNobodyTests(SynchronousTestCase):
    @rows(plain=({},), heap=({"path": "[heap]"},), huge_pages=({"flags": "hg"},))
    def test_taken(self, more):
        """Long pieces of memory that anything is kept in may rest."""
        self.assertEqual(list(of_nobody(memory(1024, **more))), [(0x7F0000000000, 1 << 20)])

    @rows(
        stack=({"path": "[stack]"},),
        constants=({"permissions": "r--p"},),
        shared=({"permissions": "rw-s"},),
        of_a_file=({"path": "/usr/lib/libx.so"},),
        locked=({"flags": "lo"},),
        not_copied=({"flags": "dc"},),
        wiped_in_copies=({"flags": "wf"},),
        not_dumped=({"flags": "dd"},),
    )
    def test_left(self, more):
        """Memory about which something is special stays: a secret that must not reach a disk, above all."""
        self.assertEqual(list(of_nobody(memory(1024, **more))), [])

    def test_short(self):
        """Short pieces are not worth it; each is judged by its own lines."""
        self.assertEqual(list(of_nobody(memory(64) + memory(1024, flags="lo") + memory(128))), [])


# Much that is there, rests, is read, changed, copied and freed.
_RESTING = """
import gc, os, re, sys
from pathlib import Path
from corpproxy import resident

def memory():
    told = Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous: +([0-9]+)", told, re.M)[1])

kept = [{"number": number, "text": str(number)} for number in range(40_000)]
large = bytearray(b"x" * (4 << 20))
before, file = memory(), os.open(sys.argv[1], os.O_TMPFILE | os.O_RDWR, 0o600)
moved = resident.rest(file)
os.close(file)
rests = memory()

def is_whole():
    return large == b"x" * (4 << 20) and all(int(one["text"]) == one["number"] for one in kept)

whole = [is_whole()]
kept += [{"number": number, "text": str(number)} for number in range(40_000, 60_000)]
child = os.fork()
if not child:
    del kept[::2]
    os._exit(0 if is_whole() else 1)
whole += [os.waitpid(child, 0)[1] == 0, is_whole()]
del kept[::2]
gc.collect()
resident.give_back_free()
kept += [{"number": number, "text": str(number)} for number in range(30_000)]
whole.append(is_whole())
print(moved // 1024, before, rests, whole)
"""


class RestTests(SynchronousTestCase):
    def test_rests(self):
        """What rests takes little memory, and is as it was for who reads it, writes to it or is a copy."""
        command = [sys.executable, "-c", _RESTING, str(Path.cwd())]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        moved, before, rests, *whole = done.stdout.split(maxsplit=3)
        self.assertGreater(int(moved), int(before) * 3 // 4)
        self.assertLess(int(rests), int(before) // 4)
        self.assertEqual(whole, ["[True, True, True, True]\n"])

    def test_file_in_memory(self):
        """A file that is in memory itself would win nothing: all stays where it is."""
        file = os.memfd_create("rest")
        self.addCleanup(os.close, file)
        self.assertEqual(rest(file), 0)
        self.assertEqual(os.fstat(file).st_size, 0)

    def test_nothing_to_write_to(self):
        """A file that takes nothing leaves all as it was, and is told."""
        with tempfile.NamedTemporaryFile(dir=Path.cwd()) as file:
            only_read = os.open(file.name, os.O_RDONLY)
            self.addCleanup(os.close, only_read)
            self.assertRaises(OSError, rest, only_read)

    def test_not_compiled(self):
        """Without the compiled part nothing rests."""
        self.patch(twins, "rest", None)
        self.assertEqual(rest(-1), 0)
