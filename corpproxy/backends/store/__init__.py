"""The store: usage, grants, requests and sums, in SQLite."""
