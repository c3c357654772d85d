"""`python -m deploy.sdk [LANGUAGE...]`, or `make sdk`: generates clients of the console's API from its OpenAPI
document.

They are written to build/sdk/LANGUAGE, next to the document, and are not part of the repository. OpenAPI Generator is
downloaded from Maven Central once, and runs on the Java of the extra `dev-broker`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.embedded.jars import JarsUnavailable, cache_dir, java
from console.app import openapi

GENERATOR = "org.openapitools:openapi-generator-cli:7.25.0"
TIMEOUT = 540
"""Seconds that one language may take: half a minute of processor time, on a busy machine."""

_ONLY_SOURCES = "apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"


class GenerationFailed(Exception):
    """A client could not be generated. The message says why."""


@dataclass(frozen=True)
class Language:
    """How a language's client is generated: the generator's template and its properties."""

    template: str
    properties: dict[str, str]


LANGUAGES = {
    "python": Language("python", {"packageName": "trackly_sdk", "projectName": "trackly-sdk"}),
    "typescript": Language("typescript-fetch", {"npmName": "trackly-sdk", "supportsES6": "true"}),
    "go": Language("go", {"packageName": "trackly", "withGoMod": "true"}),
    "java": Language(
        "java",
        {
            "library": "native",
            "groupId": "trackly",
            "artifactId": "trackly-sdk",
            "invokerPackage": "trackly.sdk",
            "apiPackage": "trackly.sdk.api",
            "modelPackage": "trackly.sdk.model",
        },
    ),
}


def document() -> str:
    """Return the console's OpenAPI document. Its integers are marked as 64 bits; by default, generators assume 32."""
    return json.dumps(_with_long_integers(openapi()), indent=2) + "\n"


def _with_long_integers(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_long_integers(each) for each in part]
    if not isinstance(part, dict):
        return part
    whole = {name: _with_long_integers(each) for name, each in part.items()}
    return {"format": "int64", **whole} if part.get("type") == "integer" else whole


def generate(names: list[str], out: Path) -> None:
    """Write the clients of these languages. Raises GenerationFailed, JarsUnavailable."""
    out.mkdir(parents=True, exist_ok=True)
    described = out / "openapi.json"
    described.write_text(document(), "utf-8")
    jar = _jar()
    for name in names:
        language = LANGUAGES[name]
        shutil.rmtree(out / name, ignore_errors=True)
        properties = ",".join(f"{key}={value}" for key, value in language.properties.items())
        command = [str(java()), "-jar", str(jar), "generate", "-i", str(described), "-g", language.template]
        command += ["-o", str(out / name), f"--additional-properties={properties}", "--git-host", "trackly.example"]
        if name == "go":
            command += ["--model-name-mappings", _beside_constructors()]
        command += ["--git-user-id", "trackly", "--git-repo-id", "sdk", "--global-property", _ONLY_SOURCES]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            raise GenerationFailed(f"{name}: not done in {TIMEOUT} s") from None
        if done.returncode:
            raise GenerationFailed(f"{name}: {(done.stderr or done.stdout)[-1000:]}")


def _beside_constructors() -> str:
    """Return new names for schemas such as NewEndpoint, which in Go is the name of Endpoint's constructor."""
    names = openapi()["components"]["schemas"]
    taken = [name for name in names if f"New{name}" in names]
    return ",".join(f"New{name}={name}Request" for name in taken)


def _jar() -> Path:
    from jgo.maven import MavenContext
    from jgo.parse import Coordinate

    context = MavenContext(repo_cache=cache_dir() / "repository", timeout=60)
    try:
        return Path(context.create_dependency(Coordinate.parse(GENERATOR)).artifact.resolve())
    except (OSError, RuntimeError, SyntaxError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise JarsUnavailable(f"{GENERATOR} cannot be downloaded from Maven Central: {reason}") from error


def main() -> int:
    """Exit code 1 if a client could not be generated, 2 for an unknown language."""
    names = sys.argv[1:] or list(LANGUAGES)
    if unknown := sorted(set(names) - set(LANGUAGES)):
        print(f"{', '.join(unknown)}: unknown; known are {', '.join(LANGUAGES)}", file=sys.stderr)
        return 2
    out = Path("build/sdk")
    try:
        generate(names, out)
    except (GenerationFailed, JarsUnavailable) as error:
        print(error, file=sys.stderr)
        return 1
    for name in names:
        print(f"{out / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
