"""Third-party clients, run as described in docs/recipes, on every public topic, and their results.

`python -m tests.outside.readers` runs all of them and writes the table of docs/recipes/README.md.
"""
