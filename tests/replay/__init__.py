"""Tests of what a policy would have decided in the past."""
