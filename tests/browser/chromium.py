"""A real Chromium for tests: an installed one, or else a downloaded one.

Preferably the headless shell, which draws pages with a third of the processor time: it has no windows, menus and
extensions.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)
INSTALL_SECONDS = 300


class NoChromium(Exception):
    """There is no Chromium, and none can be installed; the text says why."""


def find_chromium() -> str | None:
    """Return the path of the Chromium to use; None for Playwright's own. Raises NoChromium."""
    found = os.environ.get("CHROMIUM") or _in_path()
    if found:
        return found
    # One worker of a parallel run installs it, and the others then find it.
    with (Path(tempfile.gettempdir()) / "trackly-chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _in_path() or _installed()


def _in_path() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _installed() -> str | None:
    tried = []
    for command in _installers():
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        if done.returncode == 0:
            return _in_path()
        tried.append(f"`{' '.join(command)}` ended with {done.returncode}")
    raise NoChromium(f"no Chromium in PATH (set CHROMIUM to its path); {'; '.join(tried)}")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Yield a headless browser. Raises NoChromium."""
    path = find_chromium()
    arguments = [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


def _installers() -> list[list[str]]:
    commands = [[sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]]
    if os.geteuid() == 0 and Path("/usr/bin/apt-get").exists():
        commands.append(["apt-get", "install", "--yes", "--no-install-recommends", SHELL, "fonts-dejavu-core"])
    return commands
