"""Tests of the road."""
