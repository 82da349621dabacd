"""Slow tests over real sockets: what memory cannot show."""
