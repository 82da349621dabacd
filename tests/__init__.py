"""Tests of corpproxy; ``python -m twisted.trial tests`` runs them all."""

from __future__ import annotations

from hypothesis import settings

# The machine may be busy: no example is given a time to be over by.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
