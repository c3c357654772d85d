"""Who asks, for which account, and what they may see of it."""
