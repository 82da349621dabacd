"""Edits that a reader never sees half done."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.backends import atomic_file
from corpproxy.backends.atomic_file import NEW_FILE_MODE, edited_alone, read_whole, replace_file


class ReplaceTests(SynchronousTestCase):
    """Replacing a file."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "users.htpasswd"

    def mode(self):
        return stat.S_IMODE(self.path.stat().st_mode)

    def test_new(self):
        """A new file is for its owner and group only."""
        replace_file(self.path, b"amir:x\n")
        self.assertEqual(self.path.read_bytes(), b"amir:x\n")
        self.assertEqual(self.mode(), NEW_FILE_MODE)
        self.assertFalse(self.mode() & stat.S_IRWXO)

    def test_mode_stays(self):
        """The mode of the file stays as the administrator set it."""
        self.path.write_bytes(b"old")
        self.path.chmod(0o604)
        replace_file(self.path, b"new")
        self.assertEqual((self.path.read_bytes(), self.mode()), (b"new", 0o604))

    def test_owner_stays(self):
        """When root edits, the file still belongs to the service."""
        if os.geteuid() != 0:
            raise SkipTest("only root can give files to others")
        self.path.write_bytes(b"old")
        os.chown(self.path, 1234, 4321)
        replace_file(self.path, b"new")
        found = self.path.stat()
        self.assertEqual((found.st_uid, found.st_gid), (1234, 4321))

    def test_new_in_folder_of_service(self):
        """A file that root makes in the service's folder belongs to the service."""
        if os.geteuid() != 0:
            raise SkipTest("only root can give files to others")
        os.chown(self.folder, 1234, 4321)
        replace_file(self.path, b"new")
        found = self.path.stat()
        self.assertEqual((found.st_uid, found.st_gid), (1234, 4321))

    def test_not_ours_to_give(self):
        """Who cannot keep the owner is told to edit as that owner, and nothing is changed."""

        def refused(*arguments):
            raise PermissionError

        self.path.write_bytes(b"old")
        self.patch(atomic_file.os, "fstat", lambda descriptor: _Other())
        self.patch(atomic_file.os, "fchown", refused)
        error = self.assertRaises(PermissionError, replace_file, self.path, b"new")
        self.assertIn("belongs to another user", str(error))
        self.assertEqual(self.path.read_bytes(), b"old")
        self.assertEqual(os.listdir(self.folder), ["users.htpasswd"])

    def test_link_stays(self):
        """A symbolic link stays one, and its target is edited."""
        target = self.folder / "real"
        target.write_bytes(b"old")
        self.path.symlink_to("real")
        replace_file(self.path, b"new")
        self.assertTrue(self.path.is_symlink())
        self.assertEqual(target.read_bytes(), b"new")

    def test_disk_full(self):
        """A full disk leaves the old file whole and nothing beside it."""

        def full(descriptor):
            raise OSError(28, "No space left on device")

        self.path.write_bytes(b"old")
        self.patch(atomic_file.os, "fsync", full)
        self.assertRaises(OSError, replace_file, self.path, b"new")
        self.assertEqual(self.path.read_bytes(), b"old")
        self.assertEqual(os.listdir(self.folder), ["users.htpasswd"])

    def test_no_folder(self):
        """A folder that is not there is an error of the caller's."""
        self.assertRaises(OSError, replace_file, self.folder / "no" / "file", b"")

    def test_read_whole(self):
        """A file that is not there yet has no content."""
        self.assertIsNone(read_whole(self.path))


class _Other:
    st_uid = -2
    st_gid = -2


class LockTests(SynchronousTestCase):
    """One editor at a time."""

    def setUp(self):
        self.path = Path(self.mktemp())

    def test_second_waits_no_longer_than_told(self):
        """An editor that another keeps out says so after a while."""
        with edited_alone(self.path):
            error = self.assertRaises(TimeoutError, self.lock_briefly)
        self.assertIn("another program", str(error))
        self.lock_briefly()

    def lock_briefly(self):
        with edited_alone(self.path, seconds=0.0):
            pass

    def test_freed_on_failure(self):
        """An edit that fails lets go of the lock."""
        with self.assertRaises(ZeroDivisionError), edited_alone(self.path):
            raise ZeroDivisionError
        self.lock_briefly()

    def test_no_edit_is_lost(self):
        """Editors that come at the same time all have their change in the file."""

        def add(n):
            with edited_alone(self.path):
                replace_file(self.path, (read_whole(self.path) or b"") + b"%d\n" % n)

        editors = [threading.Thread(target=add, args=(n,)) for n in range(8)]
        for editor in editors:
            editor.start()
        for editor in editors:
            editor.join()
        self.assertEqual(sorted(self.path.read_bytes().split()), [b"%d" % n for n in range(8)])
