"""Who is asking: credentials, challenges, identities, groups, grants."""
