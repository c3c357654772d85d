"""Accepting untrusted input: the HTTP protocol of every public port, its limits, and compressed bodies."""
