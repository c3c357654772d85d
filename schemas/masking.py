"""Phone numbers as those may see them who may not see them whole. Pure."""

from __future__ import annotations


def masked(number: str) -> str:
    """A number of which one sees where it is and how it ends: `+1555•••0001`."""
    return number if len(number) < 8 else f"{number[:-7]}•••{number[-4:]}"
