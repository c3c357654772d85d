"""HTTP requests: limits on bodies and rates, shared fields, and security headers."""
