"""Benchmarks: corpproxy beside other proxies; docs/reference/performance.rst says how and what."""
