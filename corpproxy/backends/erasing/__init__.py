"""Erasing: the child process that does it, its journal, the places that it reaches."""
