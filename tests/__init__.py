"""Tests of corpproxy; ``python -m twisted.trial tests`` runs them all."""
