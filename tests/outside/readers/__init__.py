"""Everybody's clients, run as docs/recipes says, on every public topic; what each made of it.

`python -m tests.outside.readers` runs all of them and writes the table of docs/recipes/README.md.
"""
