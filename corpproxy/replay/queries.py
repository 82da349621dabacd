"""What the lists of now may say of a query that was kept out of the record."""

from __future__ import annotations

from corpproxy.config.configuration import Configuration
from corpproxy.destination.classifier import Classifier, indexed
from corpproxy.destination.model import Host
from corpproxy.destination.overlay import Layer


class Queries:
    """
    Tells which categories of a destination hang on the query of the request.

    ``now`` classifies by the lists of now and by the own entries of a policy.
    """

    def __init__(self, index: Layer | None, configuration: Configuration, now: Classifier) -> None:
        own = indexed(configuration.own)
        self._giving: list[Layer] = [one for one in (index, own) if one is not None]
        self._own = Classifier(None, configuration.own)
        self._taking = indexed(configuration.exceptions)
        self._now = now

    def doubtful(self, host: Host, path: str, known: tuple[str, ...]) -> frozenset[str]:
        """The categories that the query may give beside those known without it, or take away from them."""
        given = frozenset().union(*(one.categories_of_queries(host, path) for one in self._giving))
        taken: frozenset[str] = frozenset()
        if self._taking is not None:
            named = self._taking.categories_of_queries(host, path)
            taken = frozenset().union(*(self._now.same_categories(one) for one in named))
        certain = frozenset(self._own.classify(host, "", 0, path)[0])
        return (given - frozenset(known)) | (taken - certain).intersection(known)
