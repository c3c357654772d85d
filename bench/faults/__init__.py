"""The pipeline under faults that are put into it on purpose, with books that must balance after each."""
