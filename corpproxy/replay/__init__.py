"""What a policy would have decided in the past: records become facts again, and are decided anew."""
