"""Octets: meters of running exchanges and the ledger that adds them up."""
