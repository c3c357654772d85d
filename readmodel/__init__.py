"""The read model: a copy of what went through Kafka, in tables that people can ask. A service of its own."""
