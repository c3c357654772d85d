"""`trackly doctor`: finds problems of a deployment, with their remedies."""
