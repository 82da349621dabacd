"""Sinks of the record."""
