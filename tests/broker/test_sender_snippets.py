"""The snippets of docs/sending-hours.md do what the page says, in every language, against a running console."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from bus.embedded.broker import free_port
from hours.rules import DAYS
from schemas.records import AccountConfig, ListConfig
from tests.broker.test_console import Api
from tests.cluster import Cluster, running
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

PAGE = (Path(__file__).parents[2] / "docs" / "sending-hours.md").read_text("utf-8")
LIST, FREE, REMOVED = "+18005551234", "+12125550123", "+13055550123"
IN_THREE_DAYS = DAYS[(datetime.now(UTC).weekday() + 3) % 7]
CONFIGS = [
    AccountConfig(id="acme", name="Acme"),
    AccountConfig(id="quiet", name="Quiet", sending_days=(IN_THREE_DAYS,)),
    *(ListConfig(account=account, number=LIST) for account in ("acme", "quiet")),
]


class Language(NamedTuple):
    """How to run an example of the page: its file, and the command."""

    fence: str
    file: str
    command: tuple[str, ...]


LANGUAGES = (
    Language("python", "check.py", ("python3", "check.py")),
    Language("javascript", "check.mjs", ("node", "check.mjs")),
    Language("php", "check.php", ("php", "check.php")),
    Language("go", "check.go", ("go", "run", "check.go")),
)


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(broker, tmp_path_factory.mktemp("senders"), "senders", CONFIGS, "streams-1", "console-1") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def keys(cluster: Cluster) -> dict[str, str]:
    """A key of each account; one contact of `acme` has been removed."""
    keys = {account: asyncio.run(cluster.make_key(account)) for account in ("acme", "quiet")}
    api = Api(cluster, keys["acme"])
    api.wait_for(200, FREE)
    removal = {"list_number": LIST, "numbers": [REMOVED], "reason": "complaint"}
    assert api.post("/api/contacts/remove", removal).status_code == 202
    api.check_as_of(time.time(), FREE, list_number=LIST)
    Api(cluster, keys["quiet"]).wait_for(200, FREE)
    return keys


def run(language: Language, folder: Path, base: str, key: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(language.command[0]) is None:
        pytest.skip(f"{language.command[0]} is not installed: the {language.fence} example was NOT run")
    [snippet] = re.findall(rf"^```{language.fence}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (folder / language.file).write_text(snippet, "utf-8")
    environment = {**os.environ, "TRACKLY": base, "KEY": key}
    return subprocess.run(
        language.command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.fence)
def test_an_example_tells_whom_to_text_whom_not_and_when(
    cluster: Cluster, keys: dict[str, str], tmp_path: Path, language: Language
) -> None:
    base = cluster.console("console-1")
    done = run(language, tmp_path, base, keys["acme"])
    assert (done.returncode, done.stdout.splitlines()) == (0, [f"text {FREE}", f"do not text {REMOVED} complaint"])
    later = run(language, tmp_path, base, keys["quiet"]).stdout.splitlines()
    assert [re.sub(r"\d{4}-\S+Z", "TIME", line) for line in later] == [
        f"ask again at TIME for {number}" for number in (FREE, REMOVED)
    ]


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.fence)
def test_an_example_texts_nobody_where_there_is_no_answer(
    cluster: Cluster, keys: dict[str, str], tmp_path: Path, language: Language
) -> None:
    for base, key in ((cluster.console("console-1"), "trk_nobody"), (f"http://127.0.0.1:{free_port()}", keys["acme"])):
        done = run(language, tmp_path, base, key)
        assert done.returncode != 0
        assert done.stdout == ""


def test_the_example_for_curl_asks(cluster: Cluster, keys: dict[str, str]) -> None:
    [command] = re.findall(
        r"^```sh\n(curl https://YOUR-HOST/api/contacts/check .*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
    command = command.replace("https://YOUR-HOST", cluster.console("console-1")).replace("curl ", "curl -sS ", 1)
    environment = {**os.environ, "KEY": keys["acme"]}
    done = subprocess.run(
        ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    found = {each["number"]: each["may_be_texted"] for each in json.loads(done.stdout)["contacts"]}
    assert found == {FREE: True, REMOVED: False}
