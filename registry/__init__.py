"""Our schemas over HTTP, as Confluent's Schema Registry serves them: readers need no other registry."""
