"""`trackly contact deactivations`."""
