"""`python -m trackly` is `trackly`."""

from trackly.cli import main

main()
