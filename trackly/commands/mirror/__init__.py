"""`trackly mirror`."""
