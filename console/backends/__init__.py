"""What stands behind the console: its database, Kafka, and what it follows there."""
