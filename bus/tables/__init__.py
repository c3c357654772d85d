"""Durable tables: rows by key in a store, logged to a changelog topic, and indexes beside the rows."""
