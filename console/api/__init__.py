"""Routes that answer JSON."""
