"""Replays: webhooks sent again on command."""
