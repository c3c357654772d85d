"""The worker of a service: takes admitted records in batches, and makes results durable before the offsets move."""
