"""The reference of topics and settings, generated from the catalogue, the schemas, and classes."""
