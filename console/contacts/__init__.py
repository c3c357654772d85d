"""Who may be texted: the copy of contacts, how far it is, and what is under way."""
