"""Twisted: listeners, downstream, upstream pool, names, dialling, relay, tunnels."""
