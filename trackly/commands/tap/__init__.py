"""`trackly tap`."""
