"""The ingest service: a thin HTTP layer that authenticates a callback, writes it to Kafka, and only then answers."""
