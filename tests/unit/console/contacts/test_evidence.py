"""Evidence in the API and on pages: in order, signed, recorded, for those who may see numbers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from msgspec.structs import replace
from sqlalchemy import delete

from accounts.secrets import new_key
from bus.clock import now_ms
from bus.memory import CODEC
from console.principals import Role
from database.bulk import insert
from database.tables import answers, contacts, evidence, freshness
from operations.evidence import public_key, verified
from readmodel.evidence import answers_of, row_of
from schemas.ids import derived_id
from schemas.pseudonyms import Pseudonyms
from schemas.records import AuditEntry, ContactAnswers
from tests.read_records import LIST, attempt, command, contact, inbound, number_of, unsubscribe
from tests.unit.console.console_parts import Api, refusal
from tests.unit.console.rows import contact as contact_row

KEY = new_key()
NUMBER = number_of(1)
DAY = 86_400_000
NOW = now_ms() - DAY
PATH = f"/api/evidence/{NUMBER}"
PAGE = f"/contacts/{NUMBER}/evidence"
SECRET = "a secret of the tests"

REPLY = inbound(1, NOW - 500, "Please <b>STOP</b>")
OPTED_OUT = replace(
    unsubscribe(1, NOW - 500),
    event_id=derived_id(REPLY.event_id, "unsubscribe"),
    received_at=NOW - 500,
    layer="phrases",
    confirm_until=NOW + 300_000,
)
STORY = (
    REPLY,
    OPTED_OUT,
    contact(1, NOW - 500, active=False, version=7),
    attempt(OPTED_OUT.event_id, NOW, event="unsubscribe"),
)


def kept(*records: Any, at: int = NOW, place: str = "sms.topic/0") -> list[dict[str, Any]]:
    found = [
        row_of(each, CODEC.encode(each), f"{place}/{offset}", at + offset, "sms.raw/0/9", "f" * 64)
        for offset, each in enumerate(records)
    ]
    return [row for row in found if row is not None]


@pytest.fixture
def api() -> Api:
    api = Api(evidence_key=KEY, pseudonym_key=SECRET)
    for row in kept(*STORY):
        api.put(evidence, row)
    api.put(freshness, {"id": 1, "caught_up_at": NOW + 1_000, "lag": 0, "told_at": NOW, "lost": 0})
    api.put(contacts, contact_row(1, number=NUMBER, active=False, list_number=LIST))
    api.sign_in(Role.SUPPORT)
    return api


def audited(api: Api) -> list[AuditEntry]:
    return [each for each in api.written.records("audit") if isinstance(each, AuditEntry)]


async def test_it_is_signed_in_order_and_tells_how_long_it_took(api: Api) -> None:
    answer = await api.get(PATH)
    found = verified(answer.content, [public_key(KEY)])
    assert [each["kind"] for each in found["steps"]] == ["reply", "unsubscribe", "state", "webhook"]
    assert all(each["place"] and each["sha256"] and each["callback"] for each in found["steps"])
    [removal] = found["removals"]
    assert (removal["said"], removal["keyword"], removal["layer"]) == ("Please <b>STOP</b>", "STOP", "phrases")
    assert (removal["took_ms"], removal["list_number"]) == (501, LIST)
    assert removal["cause_event_id"] == REPLY.event_id
    assert removal["confirmation_allowed_until"] is not None
    [state] = found["states"]
    assert (state["may_be_texted"], state["is_erased"]) == (False, False)


@pytest.mark.parametrize("text", ["+1 (555) 123-0001", "15551230001"])
async def test_a_number_is_found_in_any_notation(api: Api, text: str) -> None:
    found = (await api.get(f"/api/evidence/{text}")).json()
    assert len(found["evidence"]["steps"]) == 4


@pytest.mark.parametrize("path", [PATH, f"/accounts/acme{PAGE}", f"/accounts/acme{PAGE}.json"])
async def test_each_look_is_written_down(api: Api, path: str) -> None:
    await (api.get(path) if path == PATH else api.request("GET", path, key=""))
    [entry] = audited(api)
    assert (entry.action, entry.object, entry.account) == ("contact.evidence", NUMBER, "acme")


async def test_the_page_shows_what_was_said_and_lets_no_text_act(api: Api) -> None:
    text = (await api.page(PAGE)).text
    assert "Please &lt;b&gt;STOP&lt;/b&gt;" in text
    assert "0.501 s" in text
    assert "sms.topic/0/0" in text


async def test_the_file_is_what_verify_takes(api: Api) -> None:
    answer = await api.page(f"{PAGE}.json")
    assert "attachment" in answer.headers["content-disposition"]
    assert verified(answer.content, [public_key(KEY)])["number"] == NUMBER


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}.json"])
async def test_a_viewer_does_not_see_it(api: Api, path: str) -> None:
    api.sign_in(Role.VIEWER)
    assert (await api.page(path)).status_code == 403
    assert not audited(api)


async def test_another_account_has_none(api: Api) -> None:
    found = (await api.get(PATH, key=api.other)).json()["evidence"]
    assert (found["steps"], found["states"], found["removals"]) == ([], [], [])


async def test_without_a_key_nothing_is_given(api: Api) -> None:
    assert refusal(await Api(evidence_key=None).get(PATH)) == (409, "not_configured")


async def test_what_is_no_number_is_told(api: Api) -> None:
    assert refusal(await api.get("/api/evidence/nobody")) == (404, "not_found")


async def test_an_erased_number_stays_erased(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(delete(evidence))
        connection.execute(delete(contacts))
    pseudonym = Pseudonyms(SECRET).of("acme", NUMBER)
    api.put(contacts, contact_row(1, number=pseudonym, active=False, list_number=LIST))
    found = (await api.get(PATH)).json()["evidence"]
    assert found["steps"] == []
    assert [(each["may_be_texted"], each["is_erased"]) for each in found["states"]] == [(False, True)]
    assert NUMBER not in repr(audited(api))


async def test_a_state_that_is_published_again_stands_once(api: Api) -> None:
    state = contact(1, NOW - 500, active=False, version=7)
    for row in kept(state, replace(state, last_event_id="evt_again"), at=NOW + 90_000, place="sms.contacts/1"):
        api.put(evidence, row)
    found = (await api.get(PATH)).json()["evidence"]
    assert [each["kind"] for each in found["steps"]].count("state") == 1
    for row in kept(replace(state, version=8, last_event_id="evt_later"), at=NOW + 95_000, place="sms.contacts/1"):
        api.put(evidence, row)
    found = (await api.get(PATH)).json()["evidence"]
    assert [each["kind"] for each in found["steps"]].count("state") == 2


async def test_orders_are_told_with_who_gave_them(api: Api) -> None:
    for row in kept(command(1, NOW, "restore"), place="sms.contacts.commands/0"):
        api.put(evidence, row)
    found = (await api.get(PATH)).json()["evidence"]
    assert "restore, by ann" in [each["says"] for each in found["steps"]]


async def test_numbers_too_large_for_some_languages_are_texts(api: Api) -> None:
    for row in kept(contact(1, NOW, active=False, version=2**60), place="sms.contacts/2"):
        api.put(evidence, row)
    found = (await api.get(PATH)).json()["evidence"]
    assert str(2**60) in [each["record"].get("version") for each in found["steps"]]


# How long removals took


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], (0, None, None, None)),
        ([7], (1, 7, 7, 7)),
        (list(range(1, 101)), (100, 50, 99, 100)),
        ([5] * 99 + [9_000], (100, 5, 5, 9_000)),
    ],
)
async def test_the_figures_of_a_period(times: list[int], expected: tuple[int | None, ...]) -> None:
    api = Api()
    rows = [
        row
        for index, took in enumerate(times)
        for row in kept(replace(OPTED_OUT, received_at=NOW - took), place=f"sms.events.unsubscribe/{index}")
    ]
    with api.engine.begin() as connection:
        insert(connection, evidence, rows)
    found = (await api.get("/api/time-to-effect", params={"since": "30d"})).json()
    assert tuple(found[name] for name in ("count", "p50_ms", "p99_ms", "max_ms")) == expected
    earlier = (await api.get("/api/time-to-effect", params={"since": "400d", "until": "2d"})).json()
    assert earlier["count"] == 0


@pytest.mark.parametrize("params", [{"since": "yesterday"}, {"since": "1d", "until": "2d"}])
async def test_a_period_that_is_none_is_told(params: dict[str, str]) -> None:
    assert refusal(await Api().get("/api/time-to-effect", params=params)) == (422, "validation_failed")


async def test_the_page_shows_the_figures_to_everybody_and_the_look_up_to_some(api: Api) -> None:
    assert "501 ms" in (await api.page("/evidence")).text
    assert "look-up" in (await api.page("/evidence")).text
    api.sign_in(Role.VIEWER)
    assert "look-up" not in (await api.page("/evidence")).text


async def test_a_number_of_the_look_up_leads_to_its_evidence(api: Api) -> None:
    answer = await api.page("/evidence/look-up", params={"number": "+1 555 123 0001"})
    assert answer.headers["location"].endswith("/contacts/%2B15551230001/evidence")


def test_a_page_of_its_own_needs_nothing_else() -> None:
    from console.pages.alone import evidence_page
    from operations.evidence import signed

    steps = [orjson.loads(orjson.dumps({"kind": "reply", "title": "<x>", "list_number": None, "says": "<script>"}))]
    steps[0] |= dict.fromkeys(("happened_at", "written_at", "place", "sha256", "callback", "callback_sha256"))
    found = {
        "format": "trackly-evidence/1", "account": "acme", "number": NUMBER, "made_at": None, "made_by": "ann",
        "complete_until": None, "left_out": 0, "states": [], "removals": [], "steps": steps,
    }  # fmt: skip
    text = evidence_page(signed(found, KEY))
    assert "<script>" not in text
    assert "@media print" in text


def asked(api: Api, at: int, **answer: Any) -> None:
    """Put an answer about the number into the database, as the read model keeps it."""
    told = {
        "number": NUMBER, "may_be_texted": False, "reason": None, "since": None, "scope": "list", "held": False,
        "failures": 0, "not_before": None, "until": None, "time_zones": [], "rule": None, "code": None,
    }  # fmt: skip
    body = orjson.dumps({"list_number": LIST, "as_of": "2026-11-20T10:15:00.000Z", "contacts": [told | answer]})
    record = ContactAnswers(
        event_id="evt_asked", account="acme", list_number=LIST, purpose="marketing", asked_by="key:shop",
        answered_at=at, body=body.decode(),
    )  # fmt: skip
    api.put(answers, *answers_of(record, CODEC.encode(record), f"sms.contacts.answers/0/{at}", at))


async def test_answers_that_were_kept_stand_among_the_rest_by_their_time(api: Api) -> None:
    asked(api, NOW - 1_000, may_be_texted=True, until="2026-11-20T20:00:00.000Z", rule="us-federal")
    asked(api, NOW + 500, reason="message")
    found = verified((await api.get(PATH)).content, [public_key(KEY)])
    assert [each["kind"] for each in found["steps"]] == ["answer", "reply", "unsubscribe", "state", "webhook", "answer"]
    first, last = found["steps"][0], found["steps"][-1]
    assert first["says"] == (
        "may be texted until 2026-11-20T20:00:00.000Z (us-federal), as of 2026-11-20T10:15:00.000Z, asked by key:shop"
    )
    assert last["says"].startswith("must not be texted: message, as of")
    assert last["record"]["answer"]["reason"] == "message"
    assert (last["place"], len(last["sha256"])) == (f"sms.contacts.answers/0/{NOW + 500}", 64)
    assert "must not be texted: message, as of" in (await api.page(PAGE)).text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"may_be_texted": True}, "may be texted"),
        (
            {"reason": "quiet_hours", "rule": "us-fl", "not_before": "2026-11-20T13:00:00.000Z"},
            "must not be texted: quiet_hours (us-fl), not before 2026-11-20T13:00:00.000Z",
        ),
        ({"reason": "erasure_pending", "held": True}, "must not be texted: erasure_pending, which is held"),
        ({"code": "unknown_list"}, "must not be texted: unknown_list"),
    ],
)
async def test_an_answer_is_told_in_a_few_words(api: Api, answer: dict[str, Any], words: str) -> None:
    asked(api, NOW + 500, **answer)
    assert (await api.get(PATH)).json()["evidence"]["steps"][-1]["says"].startswith(words + ", as of")


async def test_answers_leave_room_for_the_rest_and_are_counted_where_they_are_too_many(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.queries.evidence.MOST", 4)
    for number in range(6):
        asked(api, NOW + 1_000 + number)
    found = (await api.get(PATH)).json()["evidence"]
    assert [each["kind"] for each in found["steps"]].count("answer") == 4
    assert (found["steps"][0]["kind"], found["left_out"]) == ("reply", 2)
