"""Policy files: read, watched, and those that ran kept."""
