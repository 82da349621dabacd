"""The service as a whole: its parts put together, on real ports of loopback."""
