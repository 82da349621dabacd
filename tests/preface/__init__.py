"""Tests of what may come before HTTP."""
