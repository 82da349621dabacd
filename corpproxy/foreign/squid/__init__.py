"""Squid's configuration: read as Squid reads it, and said in our grammar."""
