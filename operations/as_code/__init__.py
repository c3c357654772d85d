"""Accounts as code: a file of settings, what it would change, and its JSON Schema."""
