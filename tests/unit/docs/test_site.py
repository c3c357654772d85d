"""The docs as a site: every page is in its navigation, and links of the repository's pages are not broken.

`make check` builds the site, which also follows anchors.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.site import DOCS, ROOT, links, llms, project, sections, staged

CONFIG = project()
PAGES = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
NAVIGATION = [path for _, path in sections(CONFIG["nav"])]
TEXTS = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("schemas/*.md"), *ROOT.glob("findings/*.md")]


def test_every_page_is_in_the_navigation_once() -> None:
    # Of topics only the list of them.
    shown = {page for page in PAGES if not page.startswith("topics/") or page == "topics/README.md"}
    assert sorted(NAVIGATION) == sorted(shown), "name the page in deploy/zensical.toml"


@pytest.mark.parametrize("reader", ["senders", "customers", "data-engineers", "operators"])
def test_there_is_a_page_for_each_kind_of_reader_that_leads_on(reader: str) -> None:
    title = reader.capitalize().replace("-", " ")
    inside = [path for section, path in sections(CONFIG["nav"]) if section == title]
    assert inside[0] == f"{reader}.md"
    text = (DOCS / f"{reader}.md").read_text("utf-8")
    assert "What you can rely on:" in text
    assert len([path for path, _ in links(text) if path in PAGES]) >= 3


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_what_is_there(page: Path) -> None:
    for path, _ in links(page.read_text("utf-8")):
        assert path == "" or (page.parent / path).exists(), path


def test_llms_txt_names_every_page_with_what_it_is_about() -> None:
    lines = llms(CONFIG).splitlines()
    assert lines[0] == "# trackly"
    assert lines[2].startswith("> ")
    named = [match[1] for line in lines if (match := re.match(r"- \[.+?\]\(([^)]+)\): .{20,}", line))]
    assert named == [path for path in NAVIGATION if path != "index.md"]


@pytest.mark.parametrize(
    ("text", "url", "expected"),
    [
        ("[api](api.md#keys)", None, "[api](api.md#keys)"),
        ("[topics](../schemas/topics.toml) are", None, "topics are"),
        ("[a \\_b](../schemas/topics.toml#x)", "https://h/r", "[a \\_b](https://h/r/blob/main/schemas/topics.toml)"),
        ("[elsewhere](https://example.com/a)", None, "[elsewhere](https://example.com/a)"),
        ("![picture](screens/trace.png)", None, "![picture](screens/trace.png)"),
        ("`[not](../a.link` (x)", None, "`[not](../a.link` (x)"),
    ],
)
def test_links_to_files_of_the_repository_go_there_or_are_none(text: str, url: str | None, expected: str) -> None:
    assert staged(DOCS / "data.md", text, url) == expected


def test_links_in_code_are_none() -> None:
    assert list(links("```\n[a](b.md)\n```\n[c](d.md#e) [f](https://g)")) == [("d.md", "e")]
