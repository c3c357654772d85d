"""Archives what each release wrote: run `python -m schemas.release VERSION` before tagging the release.

It writes two files. `schemas/released/VERSION.toml` lists every schema with its hash; those schemas may never change
again. `tests/data/golden/VERSION.json` holds a record of each type as written by this release's codec; every later
codec must read it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.samples import example, sample

ROOT = Path(__file__).parents[1]
RELEASED = ROOT / "schemas" / "released"
GOLDEN = ROOT / "tests" / "data" / "golden"


def changed_since_release(folder: FolderRegistry, released: Path = RELEASED) -> list[str]:
    """Return a line, with the remedy, for each released schema that has changed."""
    entries = {entry["id"]: entry for entry in folder.entries}
    found = []
    for path in sorted(released.glob("*.toml")):
        for then in tomllib.loads(path.read_text("utf-8"))["schema"]:
            now = entries.get(then["id"])
            was = f"{then['record']} v{then['version']} ({then['file']}) was released with {path.stem}"
            if now is None or any(now[key] != then[key] for key in ("record", "version", "file")):
                found.append(f"{was} as id {then['id']}: put its line back into schemas/registry.toml")
            elif _hash(now["file"]) != then["sha256"]:
                found.append(f"{was} and has changed: put it back, and register the change as a new version")
    return found


def main() -> int:
    """Write both files of a release; return 1 if they exist already."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print("usage: python -m schemas.release VERSION [--again]", file=sys.stderr)
        return 2
    version = sys.argv[1]
    listed, golden = RELEASED / f"{version}.toml", GOLDEN / f"{version}.json"
    if listed.exists() and "--again" not in sys.argv:
        print(f"{listed} exists: {version} was released. --again rewrites it before the tag is set.", file=sys.stderr)
        return 1
    folder = FolderRegistry()
    for path in (listed, golden):
        path.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text(_listing(folder, version), "utf-8")
    golden.write_text(json.dumps(_golden(folder), indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"{len(folder.entries)} schemas are listed, {len(folder.versions)} records are written")
    return 0


def _listing(folder: FolderRegistry, version: str) -> str:
    lines = [f"# The schemas of release {version}. Written by `python -m schemas.release`; never changed afterwards."]
    for entry in sorted(folder.entries, key=lambda e: e["id"]):
        lines += ["", "[[schema]]"]
        lines += [f"{key} = {json.dumps(entry[key])}" for key in ("id", "record", "version", "file")]
        lines.append(f'sha256 = "{_hash(entry["file"])}"')
    return "\n".join(lines) + "\n"


def _golden(folder: FolderRegistry) -> list[dict[str, Any]]:
    codec = Codec(folder)
    return [
        {
            "record": record,
            "id": versions[-1]["id"],
            "value": example(record),
            "bytes": base64.b64encode(codec.encode(sample(record))).decode("ascii"),
        }
        for record, versions in sorted(folder.versions.items())
    ]


def _hash(file: str) -> str:
    return hashlib.sha256((ROOT / "schemas" / file).read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
