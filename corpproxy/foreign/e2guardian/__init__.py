"""e2guardian's configuration: its lists and its storyboards, said in our grammar."""
