"""An Apache Kafka broker for development, the demo, and tests."""
