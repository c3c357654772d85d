"""Limits of a request, checked before any of it is parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest import redaction
from ingest.intake import MAX_PARAMETERS, MAX_PATH_BYTES, MAX_QUERY_BYTES
from ingest.redaction import MOST_SECRETS
from providers import NETWORKS, PROVIDERS
from providers.base import MAX_FIELDS
from schemas.records import AccountConfig
from tests.unit.ingest.ingest_parts import Door

FEEDBACK, POSTBACK = "/api/webhook-feedbacks", "/api/postbacks"
PATHS = [*(f"{FEEDBACK}/{name}" for name in sorted(PROVIDERS)), *(f"{POSTBACK}/{name}" for name in sorted(NETWORKS))]
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def door(tmp_path: Path) -> Door:
    account = AccountConfig(id="acme", name="Acme", providers={"twilio": {"auth_token": "t0ken"}})
    return Door(tmp_path, account, lime_webhook_secret="lime-secret", eztexting_webhook_secret="ez-secret")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("/" + "x" * MAX_PATH_BYTES, "path_too_long"),
        ("?account=acme&x=" + "x" * MAX_QUERY_BYTES, "query_too_long"),
        ("?account=acme" + "&a" * MAX_PARAMETERS, "too_many_parameters"),
        ("?account=acme" + "&%54oken=a" * (MOST_SECRETS + 1), "too_many_secrets"),
    ],
)
async def test_a_url_that_nobody_was_given_is_refused(door: Door, path: str, rest: str, code: str) -> None:
    answer = await door.request("POST", path + rest)
    assert (answer.status_code, door.stored()) == (414, [])
    assert code in answer.text or "eztexting" in path, "EZ Texting texts what it is answered"


async def test_headers_are_decoded_once_however_many_secrets_the_url_has(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    plain = redaction.unquote
    monkeypatch.setattr(redaction, "unquote", lambda text: decoded.append(text) or plain(text))
    secrets = "".join(f"&token={n}" for n in range(MOST_SECRETS))
    headers = {f"x-{n}": "%41" * 100 for n in range(50)}
    assert (await door.request("POST", f"{FEEDBACK}/infobip?account=acme{secrets}", headers=headers)).status_code == 200
    assert len([text for text in decoded if text.startswith("%41")]) == 50


@pytest.mark.parametrize(("name", "limit"), [(name, each.max_body_bytes) for name, each in sorted(PROVIDERS.items())])
async def test_a_body_that_is_larger_than_its_provider_sends_is_refused(door: Door, name: str, limit: int) -> None:
    secret = {"lime": "/lime-secret", "eztexting": "/ez-secret"}.get(name, "")
    path = f"{FEEDBACK}/{name}{secret}"
    assert (await door.request("POST", f"{path}?account=acme", content=b"x" * (limit + 1))).status_code == 413
    assert (await door.request("POST", f"{path}?account=acme", content=b"x" * limit)).status_code in (200, 403)


@pytest.mark.parametrize("name", sorted(NETWORKS))
async def test_so_is_one_of_a_network(door: Door, name: str) -> None:
    body = b"x" * (NETWORKS[name].max_body_bytes + 1)
    assert (await door.request("POST", f"{POSTBACK}/{name}?click_id=c", content=body)).status_code == 413


async def test_a_form_is_not_sorted_for_its_signature_where_it_has_too_many_fields(door: Door) -> None:
    answer = await door.request(
        "POST",
        f"{FEEDBACK}/twilio?account=acme",
        content="a=&" * MAX_FIELDS,
        headers={**FORM, "x-twilio-signature": "x"},
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "too_many_fields")
