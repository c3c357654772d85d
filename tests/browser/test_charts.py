"""Charts in a real browser: drawn under the console's policy, usable by mouse, by keyboard, and without scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from bus.clock import now_ms
from console.principals import EVERY_ACCOUNT, Role
from console.queries.statistics import HOUR
from database.tables import hourly_attempts
from tests.browser.history import write_history
from tests.http_servers import served
from tests.unit.console.console_parts import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHARE = "[data-chart]:has(#title-delivered)"


@pytest.fixture(scope="module")
def overview() -> Iterator[str]:
    api = Api()
    write_history(api)
    api.sign_in(Role.ADMIN, EVERY_ACCOUNT)
    with served(api._as_user) as url:
        yield f"{url}/accounts/acme"


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, timezone_id="UTC", locale="en-GB")
    yield await context.new_page()
    await context.close()


async def colors(page: Page) -> int:
    """Return the number of colors in the first chart; an empty one has one."""
    return await page.evaluate(
        """() => {
          const canvas = document.querySelector(".plot canvas");
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          return new Set(new Uint32Array(pixels.buffer)).size;
        }"""
    )


@pytest.mark.parametrize("path", ["", "/trends", "/webhooks/crm", "/lists/%2B18005551234"])
async def test_every_chart_is_drawn_and_the_policy_refuses_nothing(page: Page, overview: str, path: str) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(overview + path)
    assert await page.locator("[data-chart] canvas").count() == await page.locator("[data-chart]").count()
    assert await colors(page) > 2
    assert complaints == []


async def test_the_overview_fits_one_screen(page: Page, overview: str) -> None:
    await page.goto(overview)
    bottom = await page.evaluate("document.querySelector('#live').getBoundingClientRect().bottom")
    assert bottom <= 900


async def test_the_pointer_reads_a_value_and_leaves_the_sum(page: Page, overview: str) -> None:
    await page.goto(overview)
    chart = page.locator(SHARE)
    total = await chart.locator("[data-total]").inner_text()
    await chart.locator(".u-over").hover()
    await expect(chart.locator("[data-when]")).not_to_be_empty()
    hour = await chart.locator("[data-total]").inner_text()
    cells = await chart.locator("tbody td").all_text_contents()
    assert hour in cells
    await page.mouse.move(0, 0)
    await expect(chart.locator("[data-total]")).to_have_text(total)


async def test_the_keyboard_reads_each_value(page: Page, overview: str) -> None:
    await page.goto(overview)
    chart = page.locator(SHARE)
    slider = chart.get_by_role("slider", name="Delivered share")
    cells = await chart.locator("tbody td").all_text_contents()
    await slider.press("Home")
    await expect(chart.locator("[data-total]")).to_have_text(cells[-1])
    await slider.press("ArrowRight")
    await expect(chart.locator("[data-total]")).to_have_text(cells[-2])
    assert cells[-2] in (await slider.get_attribute("aria-valuetext") or "")
    await slider.press("End")
    await expect(chart.locator("[data-total]")).to_have_text(cells[0])
    await slider.press("Escape")
    await expect(chart.locator("[data-when]")).to_be_empty()


async def test_a_chart_and_an_open_table_outlive_what_comes_anew(page: Page, overview: str) -> None:
    await page.goto(overview)
    await page.locator(SHARE).get_by_text("Show as a table").click()
    await page.evaluate("document.querySelector('.plot canvas').dataset.mark = 'kept'")
    async with page.expect_response(lambda answer: answer.url.startswith(overview)):
        await page.evaluate("htmx.ajax('GET', location.href, {target: '#live', select: '#live', swap: 'outerHTML'})")
    await expect(page.locator(SHARE).locator("table")).to_be_visible()
    assert await page.locator(".plot canvas").first.get_attribute("data-mark") == "kept"
    assert await page.locator("[data-chart] canvas").count() == 6


async def test_colors_follow_the_readers_choice(page: Page, overview: str) -> None:
    await page.goto(overview)
    pixels = "document.querySelector('.plot canvas').toDataURL()"
    light = await page.evaluate(pixels)
    await page.get_by_role("button", name="Light / dark").click()
    await page.wait_for_function(f"light => {pixels} !== light", arg=light)


async def test_without_scripts_the_tables_are_there(browser: Browser, overview: str) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(overview)
    await expect(page.locator(SHARE).locator("table")).to_be_visible()
    await expect(page.locator(SHARE).locator(".plot")).to_be_hidden()
    await expect(page.get_by_role("button", name="Pause live")).to_be_hidden()
    await context.close()


async def test_on_a_phone_a_chart_is_as_wide_as_its_card(browser: Browser, overview: str) -> None:
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    page = await context.new_page()
    await page.goto(overview)
    box = await page.locator(".plot canvas").first.bounding_box()
    assert box is not None
    assert 300 < box["width"] <= 390 - 32
    await context.close()


async def test_a_single_value_is_drawn_though_no_line_leads_to_it(page: Page) -> None:
    api = Api()
    hour = now_ms() // HOUR * HOUR
    row = {"account": "acme", "hour": hour, "endpoint": "crm", "outcome": "2xx", "count": 5, "latency_ms_sum": 5}
    api.put(hourly_attempts, row)
    api.sign_in(Role.ADMIN, EVERY_ACCOUNT)
    with served(api._as_user) as url:
        await page.goto(f"{url}/accounts/acme")
        await page.locator("#plot-webhooks canvas").wait_for()
        blue = await page.evaluate(
            """() => {
              const canvas = document.querySelector("#plot-webhooks canvas");
              const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
              let found = 0;
              for (let at = 0; at < pixels.length; at += 4) if (pixels[at + 2] - pixels[at] > 100) found += 1;
              return found;
            }"""
        )
    assert blue > 5
