"""What leaves trackly: webhooks to customers. Each sink is a consumer of its own on the event topics."""
