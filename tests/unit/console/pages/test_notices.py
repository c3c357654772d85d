"""After a form: the page that it leads to, and the notice there."""

from __future__ import annotations

from typing import Any

import pytest

from console.pages.notices import NOTICES
from console.pages.places import PLACES
from console.principals import Role
from tests.unit.console.console_parts import Api

FORMS: list[tuple[str, dict[str, Any]]] = [
    ("/alerts/settings", {"told": ["billing"]}),
    ("/alerts/mute", {"duration": "2h"}),
    ("/alerts/mute", {"duration": ""}),
    ("/rejected/retry", {}),
    ("/rejected/retry?reason=unknown_status&since=24h", {}),
    ("/lists/new", {"number": "+18005550000"}),
    ("/providers/cm", {"secret": "a secret"}),
    ("/webhooks/crm/pause", {}),
    ("/replays", {"endpoint": "crm", "outcome": "all"}),
    ("/contacts/+15551230001/remove", {"list_number": "+18005551234", "reason": "manual"}),
]


@pytest.fixture
def api() -> Api:
    api = Api()
    api.sign_in(Role.ADMIN)
    return api


@pytest.mark.parametrize(("path", "fields"), FORMS)
async def test_a_form_that_is_done_leads_to_a_page_that_says_so(api: Api, path: str, fields: dict[str, Any]) -> None:
    done = await api.form(path, **fields)
    assert done.status_code == 303, done.text
    shown = await api.request("GET", done.headers["location"], key="")
    assert shown.status_code == 200, shown.text
    assert 'role="status"' in shown.text
    assert any(notice.text in shown.text for notice in NOTICES.values())


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.title)
@pytest.mark.parametrize("notice", ["saved", "nothing"])
async def test_every_place_can_say_what_was_done(api: Api, place: Any, notice: str) -> None:
    shown = await api.page(place.path, params={"notice": notice})
    assert shown.status_code == 200
    assert (NOTICES["saved"].text in shown.text) is (notice == "saved")
