"""Programs that check our files, from Debian packages: installed ones, or unpacked once into a cache."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.go_tools import CACHE, alone

DOWNLOAD_TIMEOUT = 120
"""Seconds."""


def debian_tool(name: str, package: str) -> str:
    """Return a program's path: on PATH, unpacked earlier, or unpacked now. Skips the test, and says so, if there is
    none.
    """
    if (installed := shutil.which(name)) is not None:
        return installed
    folder = CACHE / "debian" / package
    folder.mkdir(parents=True, exist_ok=True)
    places = [folder / "usr" / place / name for place in ("bin", "sbin")]
    with alone(name):
        if not any(place.exists() for place in places):
            script = f"apt-get download {package} && dpkg -x {package}_*.deb . && rm {package}_*.deb"
            try:
                done = subprocess.run(
                    ["sh", "-c", script],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    timeout=DOWNLOAD_TIMEOUT,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                pytest.skip(f"{package} did not come in {DOWNLOAD_TIMEOUT} s: what {name} would judge was NOT checked")
            if done.returncode:
                pytest.skip(f"{name} cannot be had, what it would judge was NOT checked: {done.stderr[-300:]}")
    return str(next(place for place in places if place.exists()))
