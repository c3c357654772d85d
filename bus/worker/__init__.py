"""The worker of a service: admitted records in batches, made durable before the offsets move."""
