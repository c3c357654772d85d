"""Alerts to the channels of accounts."""
