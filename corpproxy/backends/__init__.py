"""Things that wait: htpasswd files, the SQLite store, record files, list files, policy history."""
