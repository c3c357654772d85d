"""Changes and orders: what the API and the pages have in common. Each is in the audit log first."""
