"""Traces, metrics and logs by OTLP, for who sets OpenTelemetry's variables; nothing of it is imported otherwise.

No attribute has a number, a key, a text or a URL: of a record its place, of an endpoint its id.
"""
