"""What may come before HTTP, or instead of it: the first octets of a tunnel."""
