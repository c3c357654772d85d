"""What leaves trackly: webhooks, forwarded items, and alerts. Each sink has its own consumer on the event topics."""
