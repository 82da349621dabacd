"""Tests of the supervisor and its workers."""
