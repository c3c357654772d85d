"""Traces, metrics, and logs by OTLP, if OpenTelemetry's variables are set; otherwise nothing is imported.

No attribute holds a phone number, a key, a text, or a URL: a record is named by its position, an endpoint by its id.
"""
