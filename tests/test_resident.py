"""Memory that nobody uses is given back, and nothing is lost with it."""

import mmap
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.resident import give_back_files, give_back_free, untouched
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
