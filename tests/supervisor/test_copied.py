"""What a copy of the supervisor does with descriptors."""

from __future__ import annotations

import json
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

# Descriptors are the process's own, so that it is one of its own: what it has open afterwards is its answer.
PLACED = """
import fcntl, json, os, resource, sys
from corpproxy.supervisor.copied import _place

read, write = os.pipe()
log = os.open(os.devnull, os.O_RDWR)
link, listener = (os.open(folder, os.O_RDONLY) for folder in ("/usr", "/etc"))
high = fcntl.fcntl(read, fcntl.F_DUPFD, 300)
answer = fcntl.fcntl(1, fcntl.F_DUPFD, 40)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
before = os.dup(1)
_place([before, link, listener])
left = {number: os.readlink(f"/proc/self/fd/{number}") for number in range(3, 400)
        if os.path.exists(f"/proc/self/fd/{number}")}
print(json.dumps(left))
"""


class PlaceTests(SynchronousTestCase):
    """A worker finds what it was sent in its places, and nothing else is open."""

    def test_few_open_files(self) -> None:
        """Also where few files may be open, and one was opened before that was so."""
        done = subprocess.run([sys.executable, "-c", PLACED], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        left = {int(number): what for number, what in json.loads(done.stdout).items()}
        self.assertEqual([left.pop(3), left.pop(4)], ["/usr", "/etc"])
        self.assertEqual(set(left.values()), {"/dev/null"})
