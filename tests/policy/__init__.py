"""Tests of the policy."""

from tests.support import properties  # noqa: F401  (sets how long the property tests look)
