"""The pipeline under injected faults; the books must balance after each."""
