"""People: password files, group files, directories, and the reception that remembers who signed in."""
