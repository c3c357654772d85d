"""An Apache Kafka for development, the demo and the tests."""
