"""Attacks: what was tried against the proxy, and what must go on happening."""
