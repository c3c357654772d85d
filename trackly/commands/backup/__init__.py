"""`trackly backup` and `trackly restore`: settings, suppressions and keys in one encrypted file."""
