"""Signed webhooks: what an event leads to, the lanes of endpoints, retries through delay topics, pauses."""
