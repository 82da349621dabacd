"""What ``make run`` does, from a folder that is not there to Ctrl-C."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.running import CHECKOUT, free_ports

WAIT_SECONDS = 60.0


class FirstRunTests(SynchronousTestCase):
    """The first start and the second one; the policy is there already, for its addresses must be free."""

    if shutil.which("curl") is None:
        skip = "not installed: curl; 'make test-deps' installs it"

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="corpproxy-first-"))
        self.addCleanup(shutil.rmtree, self.folder)
        forward, portal = free_ports(2)
        (self.folder / "site").mkdir()
        (self.folder / "site" / "policy.yaml").write_text(
            "state: state\n"
            "listen:\n"
            f"  - {{name: rooms, forward: '127.0.0.1:{forward}'}}\n"
            f"  - {{name: pac, portal: '127.0.0.1:{portal}'}}\n"
            "identity: {methods: [{basic: {htpasswd: users.htpasswd}}]}\n"
            "rules: [{name: everything else, do: allow}]\n"
        )

    def start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "corpproxy.first_run", "site"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / "said").open("w"),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def said(self, until: str) -> str:
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            text = (self.folder / "said").read_text()
            if until in text:
                return text
            time.sleep(0.02)
        raise AssertionError((self.folder / "said").read_text())

    def stop(self, process: subprocess.Popen[str]) -> None:
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(WAIT_SECONDS), 0)
        text = self.said("Server Shut Down")
        self.assertNotIn("Traceback", text)

    def test_twice(self) -> None:
        """The curl line works as pasted; what was made is kept; Ctrl-C ends it cleanly."""
        first = self.start()
        said = self.said("Ctrl-C\n")
        line = re.search(r"try it +(curl .*)", said)
        assert line is not None
        answer = subprocess.run(
            ["sh", "-c", line[1]], capture_output=True, text=True, timeout=WAIT_SECONDS, check=True
        )
        self.assertIn("You are signed in as admin.", answer.stdout)
        self.stop(first)
        users = (self.folder / "site" / "users.htpasswd").read_bytes()
        self.start_again_and_stop()
        self.assertEqual((self.folder / "site" / "users.htpasswd").read_bytes(), users)

    def start_again_and_stop(self) -> None:
        second = self.start()
        said = self.said("Ctrl-C\n")
        self.assertRegex(said, r"password .*corpproxy users passwd admin --policy site/policy\.yaml")
        self.stop(second)

    def test_another_has_the_address(self) -> None:
        """When another proxy listens there, that is said, and nothing else."""
        first = self.start()
        self.said("Ctrl-C\n")
        second = self.start()
        self.assertNotEqual(second.wait(WAIT_SECONDS), 0)
        time.sleep(0.3)
        said = (self.folder / "said").read_text()
        self.assertIn("cannot listen on", said)
        self.assertNotIn("try it", said)
        self.assertNotIn("Traceback", said)
        os.killpg(first.pid, signal.SIGINT)
        first.wait(WAIT_SECONDS)
