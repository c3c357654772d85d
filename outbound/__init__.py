"""One signed request to a customer: body, signature, the guard of addresses, and what came of it."""
