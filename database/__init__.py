"""The console's database: the read model of what went through Kafka, and who may sign in."""
