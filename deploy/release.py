"""Builds the release files in dist/, and reports what could not be built: `make release-check`.

Wheel, chart, bill of materials (CycloneDX, of requirements.lock) and image; their checksums; signatures by cosign. Exit
code 1 if something is missing or the versions differ.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
CHART = ROOT / "deploy" / "helm" / "trackly"


PINNED = re.compile(r"\S+@sha256:[0-9a-f]{64}")
"""A base image by its digest, which cannot change."""


class Missing(Exception):
    """Something could not be built. The message says what is needed."""


def version() -> str:
    """Return the version of the package."""
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    return found


def check_versions() -> None:
    """Raise Missing if the chart or the changelog has another version."""
    chart = re.findall(r"^(?:version|appVersion): (.+)$", (CHART / "Chart.yaml").read_text("utf-8"), re.MULTILINE)
    if set(chart) != {version()}:
        raise Missing(f"Chart.yaml says {', '.join(chart)}, pyproject.toml {version()}: make them the same")
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## {re.escape(version())}( |$)", changelog, re.MULTILINE):
        raise Missing(
            f"{version()} is not released: its changes are under `## Unreleased` in CHANGELOG.md. A release renames "
            f"that section to `## {version()} (YYYY-MM-DD)` and adds a section to docs/operating/upgrade.md"
        )


def wheel(into: Path) -> Path:
    """Build the wheel with the venv's tools; nothing is downloaded."""
    # setuptools would include leftovers of an earlier build, even deleted files.
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        into,
        ROOT,
    )
    return into / f"trackly-{version()}-py3-none-any.whl"


def bill_of_materials(into: Path) -> Path:
    """Write the pinned requirements of requirements.lock, with hashes, as CycloneDX 1.6, validated by the tool."""
    path = into / f"trackly-{version()}.cdx.json"
    tool = Path(sys.executable).with_name("cyclonedx-py")
    if not tool.exists():
        raise Missing("cyclonedx-py is not installed: `make install`")
    run(
        *(tool, "requirements", ROOT / "requirements.lock", "--pyproject", ROOT / "pyproject.toml"),
        *("--mc-type", "application", "--spec-version", "1.6", "--output-reproducible", "--output-file", path),
    )
    return path


def chart(into: Path) -> Path:
    """Package the chart."""
    run(tool("helm", "the chart"), "package", CHART, "--destination", into)
    return into / f"trackly-{version()}.tgz"


def image(into: Path) -> Path:
    """Build the image and save it as an archive."""
    docker = tool("docker", "the image")
    if subprocess.run([docker, "info"], capture_output=True).returncode != 0:
        raise Missing("no Docker engine is running: the image was NOT built")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    name, path = f"trackly:{version()}", into / f"trackly-{version()}.image.tar"
    arguments = {"VERSION": version(), "REVISION": commit, "PYTHON_IMAGE": base(docker)}
    run(
        *(docker, "build", "--tag", name),
        *(part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")),
        ROOT,
    )
    run(docker, "save", "--output", path, name)
    return path


def base(docker: str) -> str:
    """What the image is made from, by its digest: PYTHON_IMAGE of the environment, else what the registry has now.

    Raises Missing where PYTHON_IMAGE has no digest, and where the registry does not answer.
    """
    given = os.environ.get("PYTHON_IMAGE", "")
    if given:
        if not PINNED.fullmatch(given):
            raise Missing(f"PYTHON_IMAGE={given} has no digest: write NAME@sha256:...")
        return given
    match = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert match is not None
    asked = (docker, "buildx", "imagetools", "inspect", match[1], "--format", "{{.Manifest.Digest}}")
    done = subprocess.run(asked, capture_output=True, text=True)
    pinned = f"{match[1]}@{done.stdout.strip()}"
    if done.returncode or not PINNED.fullmatch(pinned):
        raise Missing(f"the registry does not return the digest of {match[1]}: set PYTHON_IMAGE={match[1]}@sha256:...")
    return pinned


def sign(path: Path) -> Path:
    """Sign a file with cosign; the bundle is written next to it."""
    bundle = path.with_name(f"{path.name}.sigstore.json")
    run(tool("cosign", "signatures"), "sign-blob", "--yes", "--bundle", bundle, path)
    return bundle


def checksums(made: list[Path], into: Path) -> Path:
    """Return the content of SHA256SUMS, for `sha256sum --check`."""
    path = into / "SHA256SUMS"
    lines = [f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in made]
    path.write_text("".join(lines), "utf-8")
    return path


def tool(name: str, what: str) -> str:
    """Return the path of a program. Raises Missing."""
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not on this machine: {what} NOT made")
    return found


def run(*command: str | Path) -> None:
    """Run a program. Raises Missing with the end of its output."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        raise Missing(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-500:]}")


def main() -> int:
    """Build everything possible; returns 1 if something is missing."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    made: list[Path] = []
    missing: list[str] = []

    def attempt(make: Callable[[], Path | None]) -> None:
        try:
            if (path := make()) is not None:
                made.append(path)
        except Missing as error:
            missing.append(str(error))

    attempt(check_versions)
    for make in (wheel, bill_of_materials, chart, image):
        attempt(lambda make=make: make(DIST))  # type: ignore[misc]
    for path in [*made, checksums(made, DIST)]:
        print(f"made     {path.relative_to(ROOT)}")
    for path in list(made):
        attempt(lambda path=path: sign(path))  # type: ignore[misc]
    for text in dict.fromkeys(missing):
        print(f"MISSING  {text}")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
