"""What the writers of policies have in common, whatever the configuration was."""

from __future__ import annotations

from collections.abc import Mapping

from corpproxy.errors import Problem
from corpproxy.foreign.draft import Draft
from corpproxy.foreign.sections import Names, RuleWriter
from corpproxy.foreign.tables import Tables

PASSWORDS_FILE = "users.htpasswd"


class Composing:
    """
    A policy that is being written.

    ``dropped`` are rules that can never match, by name, with the reason; ``alone`` says that it is to listen
    to this machine only.  ``open`` are the lines that the other proxy refuses by and the policy does not.
    """

    def __init__(self, time_zone: str, dropped: Mapping[str, str], *, alone: bool) -> None:
        self.draft = Draft()
        self.open: list[Problem] = []
        self.counts: dict[str, int] = {}
        self._time_zone = time_zone
        self._alone = alone
        self._dropped = dropped
        self._tables = Tables()
        self._names = Names()
        self._writer = RuleWriter(self.draft, dropped)

    @property
    def passwords(self) -> bytes | None:
        """The file of passwords to write beside the policy; None where nobody signs in."""
        raise NotImplementedError

    def files(self) -> dict[str, bytes]:
        """The files to write, by their paths below the folder of the policy."""
        made = {"policy.yaml": self.draft.text.encode()}
        for one in self._tables.lists.values():
            if one.file:
                made[one.file] = "".join(f"{value}\n" for value in one.values).encode()
        if self.passwords is not None:
            made[PASSWORDS_FILE] = self.passwords
        return made

    def rule_at(self, line: int) -> str:
        """The name of the rule that stands at a line of the policy, empty where none does."""
        return self._writer.at(line)
