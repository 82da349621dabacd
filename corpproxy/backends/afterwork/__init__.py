"""What is made of the record after it was written, in a child process: indexes and roll-ups."""
