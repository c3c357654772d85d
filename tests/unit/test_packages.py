"""A new package is checked, measured, and shipped: no list of packages lacks one."""

from __future__ import annotations

import grimp
import pytest

from tests.packages import PACKAGES, PYPROJECT, ROOT

TOOL = PYPROJECT["tool"]

SERVICES = {*PACKAGES} - {"bus", "trackly"}
"""Packages where rules are kept apart from frameworks: not Kafka's own, and not the command line."""


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(TOOL["mypy"]["packages"], id="mypy"),
        pytest.param(TOOL["importlinter"]["root_packages"], id="import-linter"),
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


def test_a_file_of_a_service_that_needs_no_framework_is_kept_that_way() -> None:
    purity = next(each for each in TOOL["importlinter"]["contracts"] if each["name"].startswith("words and rules"))
    graph = grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)
    for ignored in purity["ignore_imports"]:
        importer, imported = ignored.split(" -> ")
        graph.remove_import(importer=importer, imported=imported)
    frameworks = graph.modules & {*purity["forbidden_modules"]}
    users = {user for each in frameworks for user in graph.find_downstream_modules(each)}
    files = {module for package in SERVICES for module in graph.find_descendants(package)}
    pure = {file for file in files - users if not graph.find_children(file)}
    kept = {file for each in purity["source_modules"] for file in {each, *graph.find_descendants(each)}}
    assert sorted(pure - kept) == []
