"""Restarts, kills, freezes, fills, and grows three real brokers under load, and measures the standstills."""
