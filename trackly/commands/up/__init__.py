"""`trackly up`."""
