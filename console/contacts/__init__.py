"""Who may be texted: the copy of contacts, its freshness, and pending commands."""
