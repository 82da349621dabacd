"""The policies that ran, as records name them: loaded from the kept texts when they are first asked for."""

from __future__ import annotations

from pathlib import Path

from corpproxy.backends.policies.files import Kept
from corpproxy.backends.policies.history import History, HistoryError
from corpproxy.config.configuration import Configuration
from corpproxy.config.load import load_policy


class PastPolicies:
    """
    Gives the policy of a version, None where its text is not kept or cannot be loaded any more.

    ``known`` are policies that need not be looked for.
    """

    def __init__(self, state: Path, known: Configuration | None = None) -> None:
        self._history = History(state)
        self._known: dict[str, Configuration | None] = {"": None}
        if known is not None:
            self._known[known.version] = known

    def __call__(self, version: str) -> Configuration | None:
        """The policy of a version."""
        if version not in self._known:
            self._known[version] = self._loaded(version)
        return self._known[version]

    def _loaded(self, version: str) -> Configuration | None:
        try:
            kept = self._history.version(version)
            texts = self._history.texts(kept)
        except HistoryError:
            return None
        path = Path(kept.policy)
        return load_policy(path, Kept(texts, path.parent), forgiving=True).configuration
