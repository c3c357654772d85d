"""Signed webhooks: fan-out, lanes of endpoints, retries through delay topics, pauses."""
