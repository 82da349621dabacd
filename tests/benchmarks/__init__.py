"""The benchmark itself: what it computes, writes and starts."""
