"""Benchmarks: figures as ratios, made on the reader's own machine; see README.rst in this folder."""
