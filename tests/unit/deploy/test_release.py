"""Requirements of a release: one version everywhere, an immutable base image."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from deploy import release

DIGEST = f"sha256:{'0f' * 32}"


def answering(directory: Path, script: str) -> str:
    """Install a fake `docker` with this answer."""
    program = directory / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_an_image_is_made_from_what_the_registry_has_now_by_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHON_IMAGE", raising=False)
    assert release.base(answering(tmp_path, f"echo {DIGEST}")) == f"python:3.12-slim@{DIGEST}"


@pytest.mark.parametrize("script", ["exit 1", "echo something else"])
def test_a_registry_that_does_not_tell_the_digest_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.delenv("PYTHON_IMAGE", raising=False)
    with pytest.raises(release.Missing, match=r"set PYTHON_IMAGE=python:3\.12-slim@sha256:"):
        release.base(answering(tmp_path, script))


def test_a_base_of_ones_own_has_a_digest_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = f"registry.example.com/python@{DIGEST}"
    monkeypatch.setenv("PYTHON_IMAGE", own)
    assert release.base("unused") == own
    monkeypatch.setenv("PYTHON_IMAGE", "python:3.12-slim")
    with pytest.raises(release.Missing, match=r"PYTHON_IMAGE=python:3\.12-slim has no digest"):
        release.base("unused")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a tree with a chart and a changelog."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n', "utf-8")
    (tmp_path / "Chart.yaml").write_text("version: 1.2.3\nappVersion: 1.2.3\n", "utf-8")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n## 1.2.3 (2026-12-01)\n", "utf-8")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "CHART", tmp_path)
    return tmp_path


def test_one_version_everywhere_is_released(tree: Path) -> None:
    release.check_versions()


@pytest.mark.parametrize("text", ["## Unreleased\n\n- Something\n", "## 1.2.30 (2026-12-01)\n", "### 1.2.3\n"])
def test_what_has_no_section_of_its_own_is_not_released(tree: Path, text: str) -> None:
    (tree / "CHANGELOG.md").write_text(text, "utf-8")
    with pytest.raises(release.Missing, match=r"^1\.2\.3 is not released: .* A release renames that section"):
        release.check_versions()


def test_a_chart_of_another_version_is_told(tree: Path) -> None:
    (tree / "Chart.yaml").write_text("version: 1.2.2\nappVersion: 1.2.3\n", "utf-8")
    with pytest.raises(release.Missing, match=r"Chart\.yaml says .*1\.2\.2"):
        release.check_versions()
