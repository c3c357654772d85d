"""The official Standard Webhooks libraries, set up as documented, on what we sign with every kind of secret."""

from __future__ import annotations

import base64
import fcntl
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from operations.as_code.plan import new_secret
from outbound.signing import Signer
from tests.go_tools import CACHE
from tests.patience import PATIENCE

PROGRAMS = Path(__file__).parent / "standardwebhooks"
BODY = '{"event":"reply","body":"Grüße"}'.encode()


@dataclass(frozen=True)
class Library:
    """A library, installed once in a cache folder, and the program that calls it."""

    language: str
    program: str
    install: tuple[tuple[str, ...], ...]
    command: tuple[str, ...]


_GO = "github.com/standard-webhooks/standard-webhooks/libraries@v0.0.1"

LIBRARIES = (
    Library(
        "node",
        "verify.mjs",
        (("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", ".", "standardwebhooks@1.1.1"),),
        ("node", "verify.mjs"),
    ),
    Library(
        "go",
        "main.go",
        (("go", "mod", "init", "verify"), ("go", "get", _GO), ("go", "build", "-o", "verify", "main.go")),
        ("./verify",),
    ),
    Library(
        "java",
        "Verify.java",
        (("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"),),
        ("java", "-cp", "jars/*", "Verify.java"),
    ),
)

# Which secret, and whether a library's ordinary constructor verifies what is signed with it.
SECRETS = {
    "generated": (new_secret(), "yes"),
    "openssl rand -hex 16": ("0123456789abcdef0123456789abcdef", "yes"),
    "openssl rand -base64 24": ("9ks0NNdIYjGcmFkQvUDSnhPSMTTyZDzl", "yes"),
    "words": ("correct horse battery staple", "cannot"),
    "letters beyond ASCII": ("tøpsecret-tøpsecret", "cannot"),
}


def installed(library: Library) -> Path:
    """Return the folder with the library. Skips the test, and says so, if it is not available."""
    program = library.install[0][0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: Standard Webhooks for {library.language} was NOT run")
    place = CACHE / "standardwebhooks" / library.language
    place.mkdir(parents=True, exist_ok=True)
    with (place.parent / f"{library.language}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for file in PROGRAMS.glob("*"):
            shutil.copy(file, place)
        if not (place / ".installed").exists():
            for command in library.install:
                done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=240)
                if done.returncode:
                    pytest.skip(f"Standard Webhooks for {library.language} was NOT run: {done.stderr[-300:]}")
            (place / ".installed").touch()
    return place


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.language)
def test_an_official_library_verifies_what_the_page_says(library: Library) -> None:
    place, now = installed(library), int(time.time())
    lines = []
    for secret, _ in SECRETS.values():
        headers = Signer(secret).headers("evt_1", BODY, now)
        given = [secret, headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"]]
        lines.append("\t".join(base64.b64encode(each).decode() for each in [*(g.encode() for g in given), BODY]) + "\n")
    done = subprocess.run(
        library.command, cwd=place, input="".join(lines), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert dict(zip(SECRETS, done.stdout.split(), strict=True)) == {name: right for name, (_, right) in SECRETS.items()}
