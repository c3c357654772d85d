"""Webhooks that are sent again on order."""
