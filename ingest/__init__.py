"""The way in: a thin HTTP service that authenticates a callback, writes it to Kafka and only then answers."""
