"""A new package is checked, measured, and shipped: no list of packages lacks one."""

from __future__ import annotations

import pytest

from tests.packages import PACKAGES, PYPROJECT, ROOT

TOOL = PYPROJECT["tool"]


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(TOOL["mypy"]["packages"], id="mypy"),
        pytest.param(TOOL["importlinter"]["root_packages"], id="import-linter"),
        pytest.param(TOOL["coverage"]["run"]["source"], id="coverage"),
        pytest.param(list(TOOL["trackly"]["coverage"]), id="least coverage"),
    ],
)
def test_every_tool_knows_every_package(listed: list[str]) -> None:
    assert {*PACKAGES} <= {*listed}


def test_the_layers_of_imports_name_every_package() -> None:
    layers = next(contract["layers"] for contract in TOOL["importlinter"]["contracts"] if contract["type"] == "layers")
    assert sorted(name.strip() for layer in layers for name in layer.split("|")) == PACKAGES


def test_the_image_is_built_from_all_packages() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    others = {"pyproject.toml", "requirements.lock", "requirements-build.lock", "README.md", "LICENSE"}
    assert {*PACKAGES} | others <= kept
