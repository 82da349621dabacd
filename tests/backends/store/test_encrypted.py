"""The connection to the database is encrypted, and who cannot come in is told what to do."""

from __future__ import annotations

import functools
import shutil
import time
from pathlib import Path

import trustme
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.store_address import StoreAddress
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.postgresql import connected, told
from tests.support.postgresql import do, server
from tests.support.rows import rows, tabular

PASSWORD = " it's: %/ "
# These come in encrypted alone: with a password, or with a certificate.
ENTRIES = """\
hostnossl all school,certified all reject
hostssl all school all scram-sha-256
hostssl all certified all cert
"""


def _own(path: Path) -> None:
    """Let the server have a file, and nobody else."""
    path.chmod(0o600)
    if server()._user:
        shutil.chown(path, server()._user)


def _switch(on: bool, /) -> None:
    """Have the server take up what was changed, with encryption or without."""
    do(f"ALTER SYSTEM SET ssl = {'on' if on else 'off'}", "SELECT pg_reload_conf()")
    ends = time.monotonic() + 30
    while do("SHOW ssl") != [("on" if on else "off",)]:
        assert time.monotonic() < ends, "the server does not take it up"
        time.sleep(0.02)


@functools.cache
def _prepared() -> Path:
    """Make certificates, and users who come in with a password or with one of these; gives where they are."""
    folder = server().folder
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authorities"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other"))
    for name, issued in (
        ("server", authority.issue_cert("localhost")),
        ("certified", authority.issue_cert("node.example", common_name="certified")),
        ("stranger", authority.issue_cert("node.example", common_name="stranger")),
    ):
        issued.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        (folder / f"{name}.key").chmod(0o600)
    _own(folder / "server.key")
    for name, written in (("password", f"{PASSWORD}\n"), ("wrong", "secret\n"), ("empty", "")):
        (folder / name).write_text(written)
    (folder / "latin").write_bytes("g\xe9heim".encode("latin-1"))
    entries = folder / "data" / "pg_hba.conf"
    entries.write_text(ENTRIES + entries.read_text())
    names = {"ssl_cert_file": "server.pem", "ssl_key_file": "server.key", "ssl_ca_file": "authorities"}
    quoted = PASSWORD.replace("'", "''")
    do(
        f"CREATE ROLE school LOGIN PASSWORD '{quoted}'",
        "CREATE ROLE certified LOGIN",
        *(f"ALTER SYSTEM SET {name} = '{folder}/{file}'" for name, file in names.items()),
    )
    return folder


@tabular
class EncryptedTests(SynchronousTestCase):
    """A database that lets nobody in without encryption."""

    def setUp(self) -> None:
        self.folder = _prepared()
        _switch(True)
        self.addCleanup(_switch, False)

    def address(self, user: str = "school", host: str = "localhost", more: str = "", **files) -> StoreAddress:
        """The address of the database, with files by their names."""
        files = {"authorities": "authorities", **files}
        paths = {name: str(self.folder / file) if file else "" for name, file in files.items()}
        url = f"postgresql://{user}@{host}:{server().port}/postgres{more}"
        return StoreAddress(database=url, state=str(self.folder), **paths)

    def refused(self, address: StoreAddress) -> StoreError:
        """What somebody is told who cannot come in."""

        def attempt() -> None:
            with told(address):
                connected(address).close()

        return self.assertRaises(StoreError, attempt)

    @rows(
        password=({"password": "password"},),
        certificate=({"user": "certified", "certificate": "certified.pem", "key": "certified.key"},),
    )
    def test_encrypted(self, asked) -> None:
        """With its authorities, and a password from a file or a certificate, we come in, encrypted."""
        connection = connected(self.address(**asked))
        self.addCleanup(connection.close)
        found = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        self.assertEqual(found, (True,))

    @rows(
        other_authority=({"password": "password", "authorities": "other"}, "vouches for it"),
        other_name=({"password": "password", "host": "127.0.0.1"}, "the name of its certificate"),
        authorities_gone=({"password": "password", "authorities": "gone"}, "name a PEM file"),
        authorities_empty=({"password": "password", "authorities": "empty"}, "name a PEM file"),
        plain=({"password": "password", "authorities": "", "more": "?sslmode=disable"}, "sslmode=require"),
        wrong_password=({"password": "wrong"}, "compare the file of 'password:'"),
        no_password=({}, "write the password into a file"),
        empty_password=({"password": "empty"}, "write the password into a file"),
        password_gone=({"password": "gone"}, "gone: No such file or directory"),
        password_odd=({"password": "latin"}, "latin: it is no text in UTF-8"),
        no_certificate=({"user": "certified"}, "name ours as 'certificate:'"),
        other_certificate=(
            {"user": "certified", "certificate": "stranger.pem", "key": "stranger.key"},
            "the name of the user",
        ),
    )
    def test_refused(self, asked, advice) -> None:
        """Who cannot come in is told in one line what to do, without a secret, and asks again later."""
        error = self.refused(self.address(**asked))
        self.assertEqual(error.code, "store-away")
        self.assertIn(advice, error.message)
        self.assertNotIn("\n", error.message)
        self.assertNotIn("secret", error.message)


class PlainTests(SynchronousTestCase):
    """A database without encryption."""

    def test_not_encrypted(self) -> None:
        """Nothing is said to it where its authorities are named, the password least of all."""
        folder = server().folder
        trustme.CA().cert_pem.write_to_path(str(folder / "any"))
        address = StoreAddress(database=server().address, state=str(folder), authorities=str(folder / "any"))

        def attempt() -> None:
            with told(address):
                connected(address).close()

        error = self.assertRaises(StoreError, attempt)
        self.assertIn("switch 'ssl' on", error.message)
