"""Everything this project knows about Kafka: settings, producer, offsets, batches, tables, topics, and a broker."""
