"""Imported modules and collected tests stay until the end of a run, so the garbage collector can skip them.

What tests leave behind is collected less often than by default: a run has memory for it.
"""

from __future__ import annotations

import gc

import pytest

OFTEN = 5_000
"""Objects that appear between two collections of the youngest."""

gc.disable()
gc.set_threshold(OFTEN)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Collect from here on, only what the tests leave behind."""
    gc.freeze()
    gc.enable()
