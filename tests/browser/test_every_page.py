"""Every page in a real browser: readable by everyone, at the width of a phone and of a desktop, light and dark."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from tests.browser.site import site
from tests.unit.console.console_parts import LIST
from tests.unit.console.pages.test_page_isolation import ROUTES, VALUES

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATHS = sorted(
    {path.format(**VALUES) for method, path in ROUTES if method == "GET" and not path.endswith((".csv", ".json"))}
    | {"/sign-in", "/nothing", "/new-account", f"/accounts/acme/lists/{LIST}/edit"}
)

LOOKS: dict[str, dict[str, Any]] = {
    "phone, light": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
    "desk, dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
}
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with site() as url:
        yield url


class Complaints(list[str]):
    """The browser's complaints about a page: script errors, and refusals by the page's policy."""

    def of(self, page: Page) -> None:
        page.on("console", lambda message: self.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.append(str(error)))


@pytest_asyncio.fixture(loop_scope="session", params=LOOKS)
async def page(request: pytest.FixtureRequest, browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(**LOOKS[request.param], timezone_id="Asia/Kolkata", locale="en-GB")
    yield await context.new_page()
    await context.close()


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_can_be_read_by_everybody(page: Page, base: str, path: str) -> None:
    complaints = Complaints()
    complaints.of(page)
    answer = await page.goto(base + path)
    assert answer is not None
    assert answer.status in (200, 404, 422), path
    found = await Axe().run(page)
    problems = [
        f"{each['id']}: {node['html'][:200]}"
        for each in found.response["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]
    assert problems == []
    width = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width == 0, "the page scrolls sideways"
    if answer.status == 200:
        assert complaints == []


@pytest.mark.parametrize("width", [768, 1_024, 1_279, 1_280])
async def test_no_page_scrolls_sideways_at_a_width_between(browser: Browser, base: str, width: int) -> None:
    context = await browser.new_context(viewport={"width": width, "height": 800})
    page = await context.new_page()
    wide = []
    for path in PATHS:
        await page.goto(base + path)
        if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(path)
    await context.close()
    assert wide == []


BELOW_ITS_LABEL = """() => [...document.querySelectorAll('.table td')].filter(cell => {
  const lefts = [...cell.childNodes].map(node => {
    const range = document.createRange();
    range.selectNode(node);
    return [...range.getClientRects()].filter(box => box.width).map(box => box.left);
  }).flat();
  return Math.min(...lefts) < lefts[0] - 1;
}).map(cell => cell.outerHTML.slice(0, 200))"""
"""Cells of which something stands further left than what the cell begins with."""


async def test_on_a_phone_all_of_a_cell_stands_beside_its_label(browser: Browser, base: str) -> None:
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    page = await context.new_page()
    found = []
    for path in PATHS:
        await page.goto(base + path)
        found += await page.evaluate(BELOW_ITS_LABEL)
    await context.close()
    assert found == []


async def test_times_are_shown_in_the_zone_of_the_reader(page: Page, base: str) -> None:
    await page.goto(f"{base}/accounts/acme/deliveries")
    time = page.locator("main time").first
    assert "GMT+5:30" in (await time.inner_text())
    await page.get_by_role("button", name="Switch UTC / local").click()
    assert "UTC" in (await time.inner_text())


async def test_the_keyboard_reaches_the_content_first_and_everything_after(page: Page, base: str) -> None:
    await page.goto(f"{base}/accounts/acme/deliveries")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to content"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.closest('main') !== null")


async def test_a_filter_swaps_the_list_and_can_be_linked_to(page: Page, base: str) -> None:
    await page.goto(f"{base}/accounts/acme/deliveries")
    await page.get_by_label("Status").select_option("delivered")
    await page.get_by_text("Nothing matches these filters.").wait_for()
    await page.wait_for_url("**/deliveries?*status=delivered*")
    await page.reload()
    assert await page.get_by_label("Status").input_value() == "delivered"


async def test_dark_and_light_are_the_readers_choice_and_are_kept(page: Page, base: str) -> None:
    await page.goto(f"{base}/accounts/acme")
    before = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.get_by_role("button", name="Light / dark").click()
    after = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert after != before
    await page.reload()
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == after
