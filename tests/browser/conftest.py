"""One browser for all tests here, and a page with its console errors."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.chromium import NoChromium, chromium


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A real Chromium."""
    try:
        async with chromium() as found:
            yield found
    except NoChromium as error:
        pytest.skip(f"NO PAGE IS TESTED: {error}")
