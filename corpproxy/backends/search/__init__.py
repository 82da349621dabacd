"""Questions to the record: indexes of closed segments, runs of lines, one exchange or all."""
