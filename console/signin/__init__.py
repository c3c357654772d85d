"""Signing in: users, passwords, one-time links, sessions, OpenID Connect. SQL, and no web framework except for
OpenID."""
