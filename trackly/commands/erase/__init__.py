"""`trackly erase`."""
