"""A customer with a link, in a real browser: the page by itself, and framed by another site."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from bus.clock import now_ms
from console.signin.customers import new_link, path_of
from database.tables import attempts
from tests.browser.test_every_page import LOOKS, SERIOUS, Complaints
from tests.http_servers import served
from tests.unit.console.console_parts import Api, endpoint
from tests.unit.console.rows import attempt

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session", params=LOOKS)
async def page(request: pytest.FixtureRequest, browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(**LOOKS[request.param])
    yield await context.new_page()
    await context.close()


def link(api: Api) -> str:
    """Return the path of a new link to `crm`."""
    with api.engine.begin() as connection:
        return path_of(new_link(connection, "acme", "crm", now_ms(), 1)[1])


async def problems(page: Page) -> list[str]:
    """Return obstacles to reading a page."""
    found = (await Axe().run(page)).response["violations"]
    wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return [each["id"] for each in found if each["impact"] in SERIOUS] + ["scrolls sideways"] * wide


async def test_a_customer_opens_its_page_reads_it_and_pauses_its_endpoint(page: Page) -> None:
    api = Api()
    api.put(attempts, attempt(1), attempt(2))
    complaints = Complaints()
    complaints.of(page)
    with served(api.app) as url:
        await page.goto(url + link(api))
        assert await problems(page) == []
        await page.get_by_role("button", name="Open it").click()
        await page.wait_for_url(f"{url}/customer")
        assert await problems(page) == []
        await page.get_by_role("link", name="evt_2").click()
        assert await problems(page) == []
        await page.get_by_role("link", name="Your endpoint").click()
        await page.get_by_role("button", name="Pause").click()
        await (
            page.get_by_text("Nothing is sent", exact=False)
            .or_(page.get_by_text("Paused.", exact=False))
            .first.wait_for()
        )
        assert api.accounts.endpoints["acme/crm"].paused_reason == "customer"
        await page.goto(f"{url}/accounts/acme")
        assert page.url.startswith(f"{url}/sign-in")
    assert complaints == []


@contextmanager
def portal(inside: str) -> Any:
    """Serve a third party's page that frames a link."""

    async def show(request: Any) -> HTMLResponse:
        return HTMLResponse(f'<title>Portal</title><iframe title="webhooks" src="{inside}"></iframe>')

    with served(Starlette(routes=[Route("/", show)])) as url:
        yield url


async def test_a_page_of_another_site_that_is_named_frames_it_and_it_opens_by_itself(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    # localhost counts as secure, so cookies for https alone are taken there without TLS.
    monkeypatch.setattr("console.settings._ORIGIN", re.compile("http://.*"))
    api = Api(console_url="https://console.example", embed_origins="http://127.0.0.1:*")
    context = await browser.new_context()
    page = await context.new_page()
    with served(api.app) as url, portal(url.replace("127.0.0.1", "localhost") + link(api)) as outside:
        await page.goto(outside)
        frame = page.frame_locator("iframe")
        await frame.get_by_role("heading", name="crm").wait_for()
        await frame.get_by_role("button", name="Pause").click()
        await frame.get_by_role("button", name="Resume").wait_for()
    assert api.accounts.endpoints["acme/crm"].paused_reason == "customer"
    await context.close()


async def test_nobody_else_frames_it(browser: Browser) -> None:
    api = Api()
    context = await browser.new_context()
    page = await context.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    with served(api.app) as url, portal(url.replace("127.0.0.1", "localhost") + link(api)) as outside:
        await page.goto(outside)
        await page.wait_for_timeout(500)
    assert any("frame-ancestors" in text for text in refused)
    assert api.accounts.endpoints["acme/crm"] == endpoint()
    await context.close()
