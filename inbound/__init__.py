"""Receiving from strangers: the HTTP protocol of every public door, its bounds, and bodies that come compressed."""
