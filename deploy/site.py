"""Builds docs/ as a searchable site with an `llms.txt`: `python -m deploy.site`. Fails on broken links.

Pages link to files of the repository. On the site, those links lead to `repo_url` of zensical.toml, or become text if
it is not set.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CONFIG = Path(__file__).with_name("zensical.toml")
BUILD = ROOT / "build" / "site"

LINK = re.compile(r"(?<!!)\[([^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)\]\((?!\w+:)([^()#\s]*)(#[^()\s]*)?\)")
"""A Markdown link into the repository: its text, path, and anchor."""

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def project() -> dict[str, Any]:
    """Return the settings in zensical.toml."""
    found: dict[str, Any] = tomllib.loads(CONFIG.read_text("utf-8"))["project"]
    return found


def sections(nav: list[Any], section: str = "") -> Iterator[tuple[str, str]]:
    """Yield section and page (its path in docs/), in the order of the navigation; nested sections are flattened."""
    for entry in nav:
        if isinstance(entry, str):
            yield section, entry
        else:
            for title, inner in entry.items():
                yield from [(section, inner)] if isinstance(inner, str) else sections(inner, section or title)


def links(text: str) -> Iterator[tuple[str, str]]:
    """Yield path and anchor of each link of a page into the repository; code has none."""
    for match in LINK.finditer(_FENCE.sub("", text)):
        yield match[2], (match[3] or "")[1:]


def staged(page: Path, text: str, repo_url: str | None) -> str:
    """Return a page for the site: links that leave docs/ lead to the repository, or become text."""

    def placed(match: re.Match[str]) -> str:
        target = (page.parent / match[2]).resolve()
        if target == DOCS or target.is_relative_to(DOCS):
            return match[0]
        return match[1] if repo_url is None else f"[{match[1]}]({repo_url}/blob/main/{target.relative_to(ROOT)})"

    return LINK.sub(placed, text)


def title_and_start(text: str) -> tuple[str, str]:
    """Return the title of a page and the paragraph below it, without links."""
    head, *paragraphs = re.sub(r"\A(<!--.*?-->\s*)+", "", text, flags=re.DOTALL).split("\n\n")
    return head.strip().removeprefix("# "), " ".join(LINK.sub(r"\1", paragraphs[0]).split())


def llms(config: dict[str, Any]) -> str:
    """Return the text of `llms.txt` (llmstxt.org): every page of the navigation, as Markdown, with a summary."""
    lines = [f"# {config['site_name']}", "", f"> {config['site_description']}"]
    before = ""
    for section, path in sections(config["nav"]):
        if section != before:
            lines += ["", f"## {section}", ""]
            before = section
        if section:
            title, start = title_and_start((DOCS / path).read_text("utf-8"))
            lines.append(f"- [{title}]({path}): {start}")
    return "\n".join(lines) + "\n"


def build(into: Path = BUILD) -> int:
    """Rebuild the site; returns zensical's exit code, which is not 0 if a link or an anchor is broken."""
    config = project()
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(DOCS, into / "docs")
    for page in DOCS.rglob("*.md"):
        text = staged(page, page.read_text("utf-8"), config.get("repo_url"))
        (into / "docs" / page.relative_to(DOCS)).write_text(text, "utf-8")
    (into / "docs" / "llms.txt").write_text(llms(config), "utf-8")
    shutil.copy(CONFIG, into)
    zensical = Path(sys.executable).with_name("zensical")
    done = subprocess.run([zensical, "build", "--strict"], cwd=into, capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stdout, done.stderr.partition("Traceback")[0], sep="\n")
        return done.returncode
    for page in (into / "docs").rglob("*.md"):
        copy = into / "site" / page.relative_to(into / "docs")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, copy)
    return 0


if __name__ == "__main__":
    sys.exit(build())
