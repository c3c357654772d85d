"""The read model: a queryable copy of what passed through Kafka. A service of its own."""
