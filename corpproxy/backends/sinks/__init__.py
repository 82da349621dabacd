"""Sinks: what takes the record to other places than its files, in a process of its own."""
