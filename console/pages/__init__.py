"""Routes that serve HTML pages."""
