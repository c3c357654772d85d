"""All that this project knows of Kafka: settings, producer, offsets, batches, tables, topics, a broker."""
