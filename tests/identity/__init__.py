"""Who is asking: credentials, memory, people, grants, forms."""
