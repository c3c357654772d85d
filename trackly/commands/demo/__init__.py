"""`trackly demo`."""
