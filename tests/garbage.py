"""What was imported and collected stays until the end of a run: no search for garbage needs to look at it."""

from __future__ import annotations

import gc

import pytest

gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Search from here on, for what the tests leave behind."""
    gc.freeze()
    gc.enable()
