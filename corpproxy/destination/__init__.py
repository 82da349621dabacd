"""What is asked for: hosts in normal form, address classes, category lists and their index."""
