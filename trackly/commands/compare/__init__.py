"""`trackly compare`."""
