"""The screenshots in the docs can be retaken, and are small enough to view."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.chromium import NoChromium, find_chromium
from tests.browser.screens import PLACES, take

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(600)]

DOCUMENTS = Path(__file__).parents[2] / "docs" / "screens"
LARGEST = 200_000


async def test_a_running_demo_gives_every_picture_of_the_documents(tmp_path: Path) -> None:
    try:
        find_chromium()
    except NoChromium as missing:
        pytest.skip(f"NO PICTURE IS TAKEN: {missing}")
    taken = await take(tmp_path)
    assert {path.name for path in taken} == {path.name for path in DOCUMENTS.glob("*.png")}
    assert {f"{name}.png" for name in PLACES} <= {path.name for path in taken}


@pytest.mark.parametrize("picture", sorted(DOCUMENTS.glob("*.png")), ids=lambda path: path.name)
def test_a_picture_is_small_and_stands_in_a_document(picture: Path) -> None:
    assert picture.stat().st_size < LARGEST
    documents = [DOCUMENTS.parents[1] / "README.md", *DOCUMENTS.parent.glob("*.md")]
    assert any(f"screens/{picture.name}" in document.read_text("utf-8") for document in documents)
