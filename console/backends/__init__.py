"""The console's backends: its database, Kafka, and the topics it follows."""
