"""Screenshots of the console for the docs, taken from a running demo.

`python -m tests.browser.screens docs/screens` retakes them.
"""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from playwright.async_api import Browser, Page

from tests.browser.chromium import chromium
from tests.patience import PATIENCE

SIZE = {"width": 1280, "height": 800}
SCREEN = {"width": 1440, "height": 900}
"""What the overview fits."""
UP_SECONDS = 240
PASSWORD = "a sentence for a demo"

PLACES = {
    "overview": "Overview",
    "deliveries": "Deliveries",
    "contacts": "Contacts",
    "webhooks": "Webhooks",
    "attempts": "Attempts",
    "rejected": "Rejected payloads",
}
"""Screenshots by file name, and the menu entry that each shows."""


async def take(directory: Path, *, alive: bool = False) -> list[Path]:
    """Run the demo, take every screenshot, and end the demo; returns the files.

    `alive`: wait until the chart of events per second, which shows whole minutes, is not empty.
    """
    directory.mkdir(parents=True, exist_ok=True)
    demo = await asyncio.to_thread(_started)
    try:
        link = await asyncio.to_thread(_link, demo)
        async with chromium() as browser:
            return await _pictures(browser, link, directory, alive)
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(PATIENCE)
        if demo.stdout is not None:
            demo.stdout.close()


def _started() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "trackly", "demo", "--keep"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _link(demo: subprocess.Popen[str]) -> str:
    assert demo.stdout is not None
    deadline, said = time.monotonic() + UP_SECONDS, []
    for line in demo.stdout:
        said.append(line)
        found = re.search(r"http://\S+/welcome/\S+", line)
        if found is not None:
            return found[0]
        if time.monotonic() > deadline:
            break
    raise RuntimeError(f"the demo named no console:\n{''.join(said[-20:])}")


async def _pictures(browser: Browser, link: str, directory: Path, alive: bool) -> list[Path]:
    context = await browser.new_context(viewport=SIZE, color_scheme="light", timezone_id="UTC", locale="en-GB")
    page = await context.new_page()
    await page.goto(link)
    await page.get_by_label("New password").fill(PASSWORD)
    await page.get_by_role("button", name="Set password and sign in").click()
    if alive:
        await asyncio.sleep(62 - time.time() % 60)
    taken = []
    for name, place in PLACES.items():
        await page.set_viewport_size(SCREEN if name == "overview" else SIZE)
        await _go(page, place)
        taken.append(await _picture(page, directory / f"{name}.png"))
    await _go(page, "Deliveries")
    await page.locator("main table a").first.click()
    await page.locator(".trace").wait_for()
    taken.append(await _picture(page, directory / "trace.png"))
    await _go(page, "Overview")
    await page.set_viewport_size({"width": 390, "height": 800})
    await page.emulate_media(color_scheme="dark")
    taken.append(await _picture(page, directory / "overview-phone-dark.png"))
    return taken


async def _go(page: Page, place: str) -> None:
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name=place, exact=True).click()


async def _picture(page: Page, path: Path) -> Path:
    await page.wait_for_load_state("load")
    await page.wait_for_timeout(300)  # colors fade
    await page.screenshot(path=path)
    return path


if __name__ == "__main__":
    for made in asyncio.run(take(Path(sys.argv[1]), alive=True)):
        print(made)
