"""The console's database: the read model of what passed through Kafka, and user accounts."""
