"""
What the tests with real programs have in common: one service and one origin for all tests of a class.

trial has no fixtures of classes, so the first test of a class starts its service and the last one ends it
and looks at what the whole run left behind.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.programs.origin import NAMES, Origin
from tests.support.running import RunningProxy

# Nothing here takes long; a program that hangs is ended.
PROGRAM_SECONDS = 60

# A password with what URLs, shells and Basic credentials treat in a special way.
PEOPLE = {"amir": "p@ss:w ö%rd", "beth": "three plain words"}

POLICY = """
safety: {{addresses: [public, loopback], connect_ports: [443, 80, {tls_port}, {port}]}}
names: {{hosts: {{{hosts}}}}}
pac: {{proxy: ["127.0.0.1:{{forward}}"]}}
"""

SIGN_IN = """
identity:
  methods: [{basic: {htpasswd: users.htpasswd}}]
  groups: {pupils: [amir], staff: [beth]}
"""

ALLOW_ALL = """
rules:
  - {name: everything else, do: allow}
"""

_Case = TypeVar("_Case", bound="type[ProgramCase]")


def needs(*programs: str) -> Callable[[_Case], _Case]:
    """Skip the tests of a class where a program is absent; ``make test-deps`` installs them all."""

    def look(case: _Case) -> _Case:
        absent = [program for program in programs if shutil.which(program) is None]
        if absent:
            case.skip = f"not installed: {', '.join(absent)}; 'make test-deps' installs it"
        return case

    return look


class ProgramCase(SynchronousTestCase):
    """
    A test class with a service and an origin that run.

    :ivar rules: YAML that is added to the policy.
    :ivar people: who may sign in, with passwords; nobody leaves sign-in out.
    """

    rules: ClassVar[str] = ALLOW_ALL
    people: ClassVar[Mapping[str, str]] = {}

    origin: ClassVar[Origin]
    proxy: ClassVar[RunningProxy]
    folder: ClassVar[Path]
    _left: ClassVar[set[str]]

    def __init_subclass__(cls) -> None:
        cls._left = {name for name in dir(cls) if name.startswith("test_")}

    def run(self, result: Any = None) -> Any:
        """Run one test; the last one is also judged by what the whole class left behind."""
        self._left.discard(self._testMethodName)
        return super().run(result)

    def setUp(self) -> None:
        if "proxy" not in vars(type(self)):
            self._start()
        self.addCleanup(self._look_back)
        self.origin.seen.clear()
        self.work = Path(tempfile.mkdtemp(dir=self.folder))

    @classmethod
    def _start(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp(prefix="corpproxy-programs-"))
        atexit.register(shutil.rmtree, cls.folder, ignore_errors=True)
        (cls.folder / "www").mkdir()
        cls.origin = Origin(cls.folder / "www")
        cls.fill(cls.folder / "www")
        hosts = ", ".join(f"{name}: [127.0.0.1]" for name in NAMES)
        policy = POLICY.format(port=cls.origin.port, tls_port=cls.origin.tls_port, hosts=hosts)
        cls.proxy = RunningProxy(policy + (SIGN_IN if cls.people else "") + cls.rules, cls.people)

    @classmethod
    def fill(cls, www: Path) -> None:
        """Put files into the folder of the origin."""

    def _look_back(self) -> None:
        leaks = self.origin.leaks()
        if not self._left:
            self.proxy.stop()
            self.origin.stop()
            self.assertEqual(self.proxy.faults(), [])
            self.proxy.forget()
        self.assertEqual(leaks, [], "the origin saw what was meant for the proxy")

    # What tests do.

    def proxy_url(self, name: str = "", password: str | None = None) -> str:
        """The URL of the proxy as programs want it in their settings."""
        if not name:
            return f"http://127.0.0.1:{self.proxy.forward}"
        word = self.people[name] if password is None else password
        return f"http://{quote(name, safe='')}:{quote(word, safe='')}@127.0.0.1:{self.proxy.forward}"

    def program(
        self, command: Sequence[object], *, proxy: str = "", expect: int | None = 0, **environment: object
    ) -> subprocess.CompletedProcess[str]:
        """
        Run a program that knows nothing but what is given here, and wait for its end.

        ``proxy`` goes into the variables that programs look at; ``expect`` is the exit code, None for any.
        """
        told = {"http_proxy": proxy, "https_proxy": proxy, "HTTPS_PROXY": proxy} if proxy else {}
        ended = subprocess.run(
            [str(word) for word in command],
            cwd=self.work,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.work),
                "LANG": "C.UTF-8",
                **told,
                **{name: str(value) for name, value in environment.items()},
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROGRAM_SECONDS,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if expect is not None:
            self.assertEqual(ended.returncode, expect, f"{command}\n{ended.stdout}\n{ended.stderr}")
        return ended
