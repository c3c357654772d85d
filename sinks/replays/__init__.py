"""Replays: webhooks sent again by order."""
