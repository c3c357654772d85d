"""Durable tables: rows by key in a store, logged to a changelog topic, with indexes stored beside them."""
