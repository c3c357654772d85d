"""Clients of other languages, at their defaults, against the protocol of the doors: they lose no body, and they read
every refusal. A client whose language is not installed is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inbound.protocol import Limits, bounded
from tests.http_servers import served
from tests.patience import PATIENCE
from tests.unit.inbound.test_protocol import REFUSED_ABOVE, app

CLIENTS = Path(__file__).parent / "clients"
LARGE = 6 << 20

_URLLIB = """
import sys, urllib.error, urllib.request
url, size, connection = sys.argv[1:]
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, b"x" * int(size)), timeout=120)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"""

COMMANDS = {
    "python": [sys.executable, "-c", _URLLIB],
    "node": ["node", str(CLIENTS / "post.mjs")],
    "java": ["java", str(CLIENTS / "Post.java")],
    "go": [],
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(app, http=bounded(Limits()), ws="none") as url:
        yield url


@pytest.fixture(scope="module")
def go_client(tmp_path_factory: pytest.TempPathFactory) -> str | None:
    """Return the compiled Go client; None without Go."""
    go = shutil.which("go")
    if go is None:
        return None
    program = tmp_path_factory.mktemp("go") / "post"
    # With the machine's cache: compiling Go's own packages anew takes half a minute.
    subprocess.run(
        [go, "build", "-o", str(program), str(CLIENTS / "post.go")],
        check=True,
        capture_output=True,
        timeout=240,
        env={**os.environ, "GOFLAGS": "-mod=mod"},
    )
    return str(program)


def posted(client: str, go_client: str | None, *arguments: str) -> list[str]:
    """Return a client's output: the status and the body."""
    command = COMMANDS[client]
    if client == "go":
        command = [go_client] if go_client is not None else ["go"]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: its HTTP client was NOT tried")
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("client", COMMANDS)
def test_a_body_is_read_whole(url: str, client: str, go_client: str | None) -> None:
    options = () if client == "java" else ("keep-alive",)
    assert posted(client, go_client, url, str(REFUSED_ABOVE), *options) == ["200", str(REFUSED_ABOVE)]


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize(("path", "status"), [("/", "413"), ("/early", "403")])
@pytest.mark.parametrize("client", COMMANDS)
def test_a_refusal_is_read_by_a_client_that_is_still_sending(
    url: str, client: str, path: str, status: str, connection: str, go_client: str | None
) -> None:
    if client == "java" and connection == "close":
        pytest.skip("Java's client does not let its caller ask for it")
    options = () if client == "java" else (connection,)
    assert posted(client, go_client, url + path, str(LARGE), *options)[0] == status
