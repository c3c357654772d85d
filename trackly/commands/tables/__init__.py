"""`trackly tables`: repairs after the contacts table's changelog, or the topic of contacts, was lost."""
