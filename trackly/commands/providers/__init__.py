"""`trackly providers`."""
