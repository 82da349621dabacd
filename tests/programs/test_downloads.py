"""wget, git, pip and npm: programs that fetch things for other programs."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.programs.case import PEOPLE, ProgramCase, needs
from tests.programs.origin import TOKEN


@needs("wget")
class WgetTests(ProgramCase):
    """wget with sign-in."""

    people = PEOPLE

    @classmethod
    def fill(cls, www: Path) -> None:
        (www / "start").mkdir()
        (www / "start" / "index.html").write_text('<a href="one.html">1</a> <a href="two.html">2</a>')
        (www / "start" / "one.html").write_text('one <a href="three.html">3</a>')
        (www / "start" / "two.html").write_text("two")
        (www / "start" / "three.html").write_text("three")

    def wget(self, *words: object, expect: int = 0) -> str:
        sign_in = ["--proxy-user=amir", f"--proxy-password={self.people['amir']}"]
        authority = f"--ca-certificate={self.origin.authority_file}"
        command = ["wget", "-q", "-t1", "-T20", authority, *sign_in, *words]
        return self.program(command, proxy=self.proxy_url(), expect=expect).stdout

    def test_http(self) -> None:
        """A page over http arrives."""
        self.assertEqual(self.wget("-O-", self.origin.http("/token")), TOKEN)

    def test_https(self) -> None:
        """A page over https arrives."""
        self.assertEqual(self.wget("-O-", self.origin.https("/token")), TOKEN)

    def test_mirror(self) -> None:
        """A small site is mirrored, page by page."""
        self.wget("--mirror", "--no-parent", "-nH", self.origin.http("/start/"))
        pages = sorted(file.name for file in (self.work / "start").iterdir())
        self.assertEqual(pages, ["index.html", "one.html", "three.html", "two.html"])

    def test_wrong_password(self) -> None:
        """With a wrong password wget ends with its code for failed sign-in or server error."""
        command = ["wget", "-q", "-t1", "-O-", "--proxy-user=amir", "--proxy-password=wrong"]
        ended = self.program([*command, self.origin.http("/token")], proxy=self.proxy_url(), expect=None)
        self.assertIn(ended.returncode, {6, 8})
        self.assertEqual(self.origin.seen, [])


@needs("git")
class GitTests(ProgramCase):
    """git with sign-in."""

    people = PEOPLE

    @classmethod
    def fill(cls, www: Path) -> None:
        source = www.parent / "source"
        source.mkdir()
        (source / "token").write_text(TOKEN)
        person = ["-c", "user.name=a", "-c", "user.email=a@b.test"]
        for command in (
            ["init", "-q"],
            ["add", "token"],
            [*person, "commit", "-q", "-m", "a token"],
            ["clone", "-q", "--bare", ".", str(www / "repository.git")],
        ):
            subprocess.run(["git", *command], cwd=source, check=True)
        subprocess.run(["git", "update-server-info"], cwd=www / "repository.git", check=True)

    def clone(self, url: str) -> str:
        proxy = self.proxy_url("amir")
        command = ["git", "-c", f"http.proxy={proxy}", "clone", "-q", url, "copy"]
        authority = self.origin.authority_file
        self.program(command, GIT_SSL_CAINFO=authority, GIT_TERMINAL_PROMPT="0", GIT_CONFIG_NOSYSTEM="1")
        return (self.work / "copy" / "token").read_text()

    def test_http(self) -> None:
        """A repository is cloned over http."""
        self.assertEqual(self.clone(self.origin.http("/repository.git")), TOKEN)

    def test_https(self) -> None:
        """A repository is cloned over https."""
        self.assertEqual(self.clone(self.origin.https("/repository.git")), TOKEN)


class PipTests(ProgramCase):
    """pip with an index of one package, and with sign-in."""

    people = PEOPLE

    @classmethod
    def fill(cls, www: Path) -> None:
        name = "tokens-1.0-py3-none-any.whl"
        folder = www / "simple" / "tokens"
        folder.mkdir(parents=True)
        (folder / "index.html").write_text(f'<!doctype html><a href="{name}">{name}</a>')
        about = "tokens-1.0.dist-info"
        files = {
            "tokens.py": f"TOKEN = {TOKEN!r}\n",
            f"{about}/METADATA": "Metadata-Version: 2.1\nName: tokens\nVersion: 1.0\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\n"
            "Root-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files[f"{about}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{about}/RECORD"])
        with zipfile.ZipFile(folder / name, "w") as wheel:
            for file, text in files.items():
                wheel.writestr(file, text)

    def install(self, index: str) -> str:
        command = [sys.executable, "-m", "pip", "install", "--isolated", "--no-cache-dir", "--no-input"]
        proxy = ["--proxy", self.proxy_url("amir"), "--cert", self.origin.authority_file]
        where = ["--trusted-host", "origin.test", "--index-url", index, "--target", "installed"]
        quiet = ["--quiet", "--disable-pip-version-check", "--retries", "0"]
        self.program([*command, *quiet, *proxy, *where, "tokens"], PIP_CONFIG_FILE="/dev/null")
        return (self.work / "installed" / "tokens.py").read_text()

    def test_http(self) -> None:
        """A package is installed over http."""
        self.assertIn(TOKEN, self.install(self.origin.http("/simple/")))

    def test_https(self) -> None:
        """A package is installed over https."""
        self.assertIn(TOKEN, self.install(self.origin.https("/simple/")))


@needs("npm")
class NpmTests(ProgramCase):
    """npm with a registry of one package, and with sign-in."""

    people = PEOPLE

    @classmethod
    def fill(cls, www: Path) -> None:
        packed = io.BytesIO()
        files = {"package.json": b'{"name": "tokens", "version": "1.0.0"}', "token": TOKEN.encode()}
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        (www / "archives").mkdir()
        (www / "archives" / "tokens.tgz").write_bytes(packed.getvalue())
        for registry, url in (("npm", cls.origin.http), ("npms", cls.origin.https)):
            archived = {
                "tarball": url("/archives/tokens.tgz"),
                "shasum": hashlib.sha1(packed.getvalue()).hexdigest(),
            }
            version = {"name": "tokens", "version": "1.0.0", "dist": archived}
            told = {"name": "tokens", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
            (www / registry).mkdir()
            (www / registry / "tokens").write_text(json.dumps(told))

    def install(self, registry: str) -> str:
        (self.work / "empty").touch()
        settings = {
            "--registry": registry,
            "--proxy": self.proxy_url("amir"),
            "--https-proxy": self.proxy_url("amir"),
            "--cafile": self.origin.authority_file,
            "--cache": "cache",
            "--userconfig": self.work / "empty",
            "--globalconfig": self.work / "empty2",
            "--fetch-retries": 0,
        }
        words = [f"{name}={value}" for name, value in settings.items()]
        quiet = ["--no-audit", "--no-fund", "--no-update-notifier"]
        self.program(["npm", "install", *quiet, *words, "tokens"])
        return (self.work / "node_modules" / "tokens" / "token").read_text()

    def test_http(self) -> None:
        """A package is installed over http."""
        self.assertEqual(self.install(self.origin.http("/npm/")), TOKEN)

    def test_https(self) -> None:
        """A package is installed over https."""
        self.assertEqual(self.install(self.origin.https("/npms/")), TOKEN)
