"""Behind root stands a person, whom records name."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.net import caller
from corpproxy.net.caller import Caller, who_really, who_we_are
from tests.support.rows import rows, tabular


@tabular
class CallerTests(SynchronousTestCase):
    """Who gives a command."""

    @rows(
        signed_in=(0, 1000, "mallory", "user 1000"),
        by_sudo=(0, None, "carol", "carol"),
        no_login=(0, 0xFFFFFFFF, "carol", "carol"),
        root_itself=(0, 0, "", "root"),
        odd_name=(0, None, "car\x1bol", "root"),
        long_name=(0, None, "x" * 100, "x" * 64),
        no_root=(7, 1000, "carol", "seven"),
    )
    def test_who(self, uid, login, named, who) -> None:
        """The kernel knows best; sudo is believed where it does not know, and only of root."""
        self.patch(caller, "_login_of", lambda pid: login)
        self.patch(caller, "user_name", lambda uid: f"user {uid}")
        name = "root" if uid == 0 else "seven"
        self.assertEqual(who_really(Caller(uid, uid, 1, name), {"sudo_user": named}), who)

    def test_ourselves(self) -> None:
        """A command that does something by itself knows its person in the same way."""
        self.patch(caller, "_login_of", lambda pid: None)
        self.patch(os, "environ", {**os.environ, "SUDO_USER": "carol"})
        self.patch(os, "geteuid", lambda: 0)
        self.assertEqual(who_we_are(), "carol")
