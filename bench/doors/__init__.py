"""The most expensive requests that strangers can send to ingest and the console, and their cost."""
