"""Changes and commands shared by the API and the pages. Each is in the audit log first."""
