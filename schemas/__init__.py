"""The words of trackly: records, topics, the codec and the ids. Nothing here talks to Kafka."""
