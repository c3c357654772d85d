"""The reference of topics and settings, written from catalogue, schemas and classes."""
