"""`trackly topics`."""
