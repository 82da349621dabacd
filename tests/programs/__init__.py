"""Programs that others wrote, through the real service, on loopback; each skips where it is absent."""
