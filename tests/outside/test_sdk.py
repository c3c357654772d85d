"""One suite that every client generated from our OpenAPI document passes, against the application on a port.

Generating and compiling takes minutes: it is only done if TRACKLY_SDK is set, and reported as skipped otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.secrets import new_key
from bus.embedded.jars import JarsUnavailable
from deploy.sdk import GenerationFailed, generate
from inbound.protocol import bounded
from tests.http_servers import served
from tests.unit.console.console_parts import Api

PROGRAMS = Path(__file__).parent / "sdk"

SEEN = {
    "account": ["acme", ["+18005551234"]],
    "registered": 1,
    "answers": [["+15551230001", True, None], ["+15551230002", False, "message"]],
    "made": ["sdk", True, None],
    "endpoints": ["crm", "sdk"],
    "no such endpoint": [404, "not_found"],
    "wrong key": [401, "invalid_api_key"],
}

_TSC = ("node_modules/.bin/tsc", "--target", "es2022", "--module", "commonjs", "--strict", "--skipLibCheck")

# What to run in a folder that has the client, as `sdk` or where its language wants it, and the program.
COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "python": (
        (sys.executable, "-m", "venv", ".venv"),
        (".venv/bin/pip", "install", "--quiet", "./client"),
        (".venv/bin/python", "conform.py"),
    ),
    "typescript": (
        (
            "npm",
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            ".",
            "typescript@5.9.3",
            "@types/node@20.19.0",
        ),
        (*_TSC, "conform.ts"),
        ("node", "conform.js"),
    ),
    "go": (("go", "run", "./conform"),),
    "java": (
        ("mvn", "-q", "-B", "-f", "client/pom.xml", "dependency:copy-dependencies", "-DoutputDirectory=../jars"),
        ("sh", "-c", "javac -nowarn -cp 'jars/*' -d classes $(find client/src/main -name '*.java') Conform.java"),
        ("java", "-cp", "classes:jars/*", "Conform"),
    ),
}


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Yield the application's address, and a key."""
    monkeypatch.setenv("TRACKLY_SECRET_KEYS", new_key())
    api = Api(check_max_age=3_600)
    api.contact(active=False, number="+15551230002", reason="message")
    with served(api.app, http=bounded(api.settings.limits()), ws="none", loop="asyncio") as url:
        yield {"TRACKLY_URL": url, "TRACKLY_KEY": api.acme}


@pytest.mark.skipif(
    "TRACKLY_SDK" not in os.environ, reason="TRACKLY_SDK is not set: the generated clients were NOT run"
)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", COMMANDS)
def test_a_generated_client_does_what_the_api_says(language: str, console: dict[str, str], tmp_path: Path) -> None:
    for program in {command[0] for command in COMMANDS[language]} & {"npm", "node", "go", "mvn", "java"}:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: the client for {language} was NOT run")
    try:
        generate([language], tmp_path)
    except (JarsUnavailable, GenerationFailed) as error:
        pytest.skip(f"the client for {language} was NOT made: {error}")
    folder = _laid_out(language, tmp_path)
    for command in COMMANDS[language]:
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **console}, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert json.loads(done.stdout) == SEEN


def _laid_out(language: str, out: Path) -> Path:
    """Return a folder with the client and the program."""
    client, folder = out / language, out / "run"
    if language == "go":  # the program is a package of the client's module
        (client / "conform").mkdir()
        shutil.copy(PROGRAMS / "conform.go", client / "conform" / "main.go")
        return client
    folder.mkdir()
    if language == "typescript":
        shutil.copytree(client / "src", folder / "sdk")
        shutil.copy(PROGRAMS / "conform.ts", folder)
    else:
        client.rename(folder / "client")
        shutil.copy(PROGRAMS / ("conform.py" if language == "python" else "Conform.java"), folder)
    return folder
