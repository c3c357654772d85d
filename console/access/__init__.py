"""Who is calling, for which account, and what they may see of it."""
