"""The console: pages for people, and an API for senders to register messages, remove contacts, and ask who may be
texted."""
