"""Imported modules and collected tests stay until the end of a run, so the garbage collector can skip them."""

from __future__ import annotations

import gc

import pytest

gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Collect from here on, only what the tests leave behind."""
    gc.freeze()
    gc.enable()
