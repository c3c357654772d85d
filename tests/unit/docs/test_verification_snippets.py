"""The functions of docs/webhooks.md that customers copy: each is taken from the page and run on what we sign."""

from __future__ import annotations

import base64
import html
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from outbound.signing import Signer

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "webhooks.md").read_text("utf-8")
HARNESS = ROOT / "tests" / "data" / "verify"

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
NEXT = "whsec_/+8Bbmv3LW5ldy1uZXctbmV3LW5ldy1u"
BODY = '{"event":"reply","body":"Grüße, 100 %"}'.encode()


@dataclass(frozen=True)
class Language:
    """How to run a language's snippet: the name of its fence, the files, the commands."""

    fence: str
    snippet: str
    main: str
    commands: tuple[tuple[str, ...], ...]


LANGUAGES = (
    Language("python", "snippet.py", "main.py", ((sys.executable, "main.py"),)),
    Language("javascript", "snippet.js", "main.js", (("node", "main.js"),)),
    Language("php", "snippet.php", "main.php", (("php", "main.php"),)),
    Language("go", "snippet.go", "main.go", (("go", "run", "main.go", "snippet.go"),)),
    Language("ruby", "snippet.rb", "main.rb", (("ruby", "main.rb"),)),
    Language(
        "java", "Webhooks.java", "Main.java", (("javac", "Main.java", "Webhooks.java"), ("java", "-cp", ".", "Main"))
    ),
)


def signed(
    signer: Signer, *, at: int | None = None, event_id: str = "evt_1", body: bytes = BODY
) -> tuple[str, str, str]:
    headers = signer.headers(event_id, body, int(time.time()) if at is None else at)
    return headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"]


def cases() -> list[tuple[str, bool, str, tuple[str, str, str], bytes]]:
    """Name, whether it is ours, the receiver's secret, the three headers, the body."""
    now = int(time.time())
    one, both = Signer(SECRET), Signer(SECRET, NEXT)
    webhook_id, timestamp, signature = signed(one)
    return [
        ("as it is", True, SECRET, (webhook_id, timestamp, signature), BODY),
        ("an empty body", True, SECRET, signed(one, body=b""), b""),
        ("bytes that are not text", True, SECRET, signed(one, body=b"\xff\x00\xfe"), b"\xff\x00\xfe"),
        ("a secret without whsec_", True, "tøpsecret", signed(Signer("tøpsecret")), BODY),
        ("a rotation, with the present secret", True, SECRET, signed(both), BODY),
        ("a rotation, with the new secret", True, NEXT, signed(both), BODY),
        ("after a rotation, with the new secret", True, NEXT, signed(Signer(NEXT)), BODY),
        ("four minutes old", True, SECRET, signed(one, at=now - 240), BODY),
        ("after a rotation, with the old secret", False, SECRET, signed(Signer(NEXT)), BODY),
        ("six minutes old", False, SECRET, signed(one, at=now - 360), BODY),
        ("six minutes ahead", False, SECRET, signed(one, at=now + 360), BODY),
        ("another body", False, SECRET, (webhook_id, timestamp, signature), BODY + b" "),
        ("another id", False, SECRET, ("evt_2", timestamp, signature), BODY),
        ("another time", False, SECRET, (webhook_id, str(int(timestamp) + 1), signature), BODY),
        ("a time that is not a number", False, SECRET, (webhook_id, "now", signature), BODY),
        ("no time", False, SECRET, (webhook_id, "", signature), BODY),
        ("another secret", False, NEXT, (webhook_id, timestamp, signature), BODY),
        ("no signature", False, SECRET, (webhook_id, timestamp, ""), BODY),
        ("half a signature", False, SECRET, (webhook_id, timestamp, signature[:20]), BODY),
        ("a signature that goes on", False, SECRET, (webhook_id, timestamp, signature + "x"), BODY),
        ("another version", False, SECRET, (webhook_id, timestamp, signature.replace("v1,", "v2,")), BODY),
        ("a signature with letters beyond ASCII", False, SECRET, (webhook_id, timestamp, "v1,ü" * 12), BODY),
    ]


def snippet_of(fence: str) -> str:
    [found] = re.findall(rf"^```{fence}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.fence)
def test_the_snippet_takes_what_we_sign_and_nothing_else(language: Language, tmp_path: Path) -> None:
    program = language.commands[0][0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: the {language.fence} snippet was NOT run")
    snippet = snippet_of(language.fence).replace("package webhooks", "package main")
    main = (HARNESS / language.main).read_text("utf-8")
    if language.fence == "javascript":
        main = snippet + main  # it exports nothing, so that it can be pasted anywhere
    (tmp_path / language.snippet).write_text(snippet, "utf-8")
    (tmp_path / language.main).write_text(main, "utf-8")
    given = cases()
    lines = "".join(
        "\t".join(base64.b64encode(each).decode() for each in [secret.encode(), *(h.encode() for h in headers), body])
        + "\n"
        for _, _, secret, headers, body in given
    )
    for command in language.commands:
        done = subprocess.run(command, cwd=tmp_path, input=lines, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
    answers = dict(zip((name for name, *_ in given), done.stdout.split(), strict=True))
    assert answers == {name: "true" if ours else "false" for name, ours, *_ in given}


@pytest.mark.parametrize(
    ("fence", "comparison"),
    [
        ("python", "hmac.compare_digest"),
        ("javascript", "crypto.timingSafeEqual"),
        ("php", "hash_equals"),
        ("go", "hmac.Equal"),
        ("ruby", "OpenSSL.secure_compare"),
        ("java", "MessageDigest.isEqual"),
    ],
)
def test_the_snippet_compares_in_constant_time(fence: str, comparison: str) -> None:
    assert comparison in snippet_of(fence)


@pytest.mark.parametrize("fence", ["python", "javascript"])
def test_the_console_shows_the_function_of_the_documents(fence: str) -> None:
    template = (ROOT / "console" / "templates" / "endpoints" / "verify.html").read_text("utf-8")
    shown = re.search(rf'<pre data-snippet="{fence}">(.*?)</pre>', template, re.DOTALL)
    documented = re.search(rf"```{fence}\n(.*?)\n```", PAGE, re.DOTALL)
    assert shown is not None
    assert documented is not None
    assert html.unescape(shown[1]) == documented[1].rstrip("\n")
