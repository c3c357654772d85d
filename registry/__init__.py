"""Serves our schemas over HTTP like Confluent's Schema Registry, so that readers need no other registry."""
