"""Sending one signed request to a customer: body, signature, address guard, and outcome."""
