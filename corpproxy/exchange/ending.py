"""The ending: why an exchange that runs may not go on."""

from __future__ import annotations

from dataclasses import dataclass

from corpproxy.policy.model import Decision


@dataclass(frozen=True, slots=True)
class Ending:
    """
    Why an exchange that runs may not go on.

    ``code`` is the failure of its record: ``decided-again`` by a rule, ``answer-too-long`` by a rule about
    sizes, ``account-changed`` or ``sign-in-needed``.  ``decision`` is the one that ends it, under version
    ``policy``; ``because`` says what had changed.
    """

    code: str
    decision: Decision
    policy: str
    because: str

    @property
    def reason(self) -> str:
        """What changed and what is decided now, in words for the record."""
        return f"{self.because}: {self.decision.reason}"
