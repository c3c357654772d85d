"""trackly's vocabulary: records, topics, the codec, and ids. Nothing here talks to Kafka."""
