"""`trackly contact`."""
