"""What anybody may send to ingest and console, at its worst, and what it costs them."""
