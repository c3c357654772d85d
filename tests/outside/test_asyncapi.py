"""AsyncAPI's own parser accepts our document. Needs Node and npm; the packages are downloaded once and kept."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.patience import PATIENCE

TOOL = Path(__file__).parent / "asyncapi"
DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
FETCH_TIMEOUT = 240


@pytest.fixture(scope="module")
def validator() -> Path:
    """Return the validating script, next to the packages that it needs."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not there: docs/asyncapi.yaml is not checked by AsyncAPI's own parser")
    lock = (TOOL / "package-lock.json").read_bytes()
    folder = Path("~/.cache/trackly-tests").expanduser() / f"asyncapi-{hashlib.sha256(lock).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in TOOL.iterdir():
        shutil.copy(path, folder)
    if not (folder / "node_modules" / ".package-lock.json").exists():
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_TIMEOUT)
        if done.returncode:
            pytest.skip(f"npm cannot fetch AsyncAPI's parser, docs/asyncapi.yaml is not checked: {done.stderr[-300:]}")
    return folder / "validate.js"


def validated(validator: Path, document: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["node", validator, document], capture_output=True, text=True, timeout=PATIENCE)


def test_the_document_is_valid(validator: Path) -> None:
    done = validated(validator, DOCUMENT)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("channels: ")


@pytest.mark.parametrize(
    ("text", "broken"),
    [("action: send", "action: publish"), ("type: record", "type: rekord"), ("asyncapi: 3.0.0", "asyncapi: 3.9.0")],
)
def test_the_validator_would_notice(validator: Path, tmp_path: Path, text: str, broken: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(DOCUMENT.read_text("utf-8").replace(text, broken, 1), "utf-8")
    assert validated(validator, path).returncode == 1
