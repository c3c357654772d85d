"""Attempts, dead letters, and rejected payloads, by the API and on their pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, Table
from sqlalchemy.event import listens_for

from console.pages.attempts import OUTCOMES
from console.principals import EVERY_ACCOUNT, Role
from console.queries.attempts import AttemptsFilter, list_attempts
from console.queries.dead import DeadLettersFilter, dead_letters
from console.queries.filters import ListFilter
from console.queries.rejected import RejectedFilter, list_rejected
from database.tables import attempts, dead_webhooks, rejected
from outbound.outcomes import ANSWERED, ERROR_CLASSES, Outcome, answered
from tests.unit.console.console_parts import Api, refusal
from tests.unit.console.rows import NOW, attempt, dead_letter, rejected_item

Make = Callable[..., dict[str, Any]]

LISTS: list[tuple[str, Table, Make]] = [
    ("attempts", attempts, attempt),
    ("dead-letters", dead_webhooks, dead_letter),
    ("rejected", rejected, rejected_item),
]

FILTERS = [
    ("attempts", attempts, attempt, "endpoint", "shop"),
    ("attempts", attempts, attempt, "outcome", "timeout"),
    ("attempts", attempts, attempt, "event", "reply"),
    ("attempts", attempts, attempt, "event_id", "evt_x"),
    ("dead-letters", dead_webhooks, dead_letter, "endpoint", "shop"),
    ("dead-letters", dead_webhooks, dead_letter, "error_class", "timeout"),
    ("dead-letters", dead_webhooks, dead_letter, "event_id", "evt_x"),
    ("rejected", rejected, rejected_item, "reason", "bad_signature"),
    ("rejected", rejected, rejected_item, "provider", "twilio"),
    ("rejected", rejected, rejected_item, "event_id", "evt_x"),
    ("rejected", rejected, rejected_item, "may_opt_out", True),
]


@pytest.fixture
def api() -> Api:
    return Api()


async def listed(api: Api, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = await api.get(f"/api/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


@pytest.mark.parametrize(("path", "table", "make"), LISTS)
async def test_the_newest_comes_first_on_pages_that_follow_one_another(
    api: Api, path: str, table: Table, make: Make
) -> None:
    api.put(table, make(1), make(2), make(3))
    first = (await api.get(f"/api/{path}", params={"limit": 2})).json()
    assert [row["event_id"] for row in first["data"]] == ["evt_3", "evt_2"]
    assert [row["event_id"] for row in await listed(api, path, cursor=first["next_cursor"], limit=2)] == ["evt_1"]


@pytest.mark.parametrize(("path", "table", "make", "name", "value"), FILTERS)
async def test_a_filter_leaves_what_fits(api: Api, path: str, table: Table, make: Make, name: str, value: Any) -> None:
    api.put(table, make(1), make(2, **{name: value}))
    assert [row[name] for row in await listed(api, path, **{name: value})] == [value]


@pytest.mark.parametrize(("path", "table", "make"), LISTS)
async def test_another_account_s_rows_are_never_listed(api: Api, path: str, table: Table, make: Make) -> None:
    api.put(table, make(1, account="other"), make(2, account=""))
    assert await listed(api, path) == []
    api.sign_in(Role.ADMIN)
    assert "evt_" not in (await api.page(f"/{path}")).text


async def test_what_belongs_to_no_account_is_listed_for_the_admins_of_every_one(api: Api) -> None:
    api.put(rejected, rejected_item(1), rejected_item(2, account="", error="whose is this"))
    (found,) = (await api.get("/api/rejected/installation", key=api.key(None))).json()["data"]
    assert found["error"] == "whose is this"
    api.sign_in(Role.ADMIN)
    assert "whose is this" not in (await api.page("/rejected")).text
    assert (await api.page("/rejected/installation")).status_code == 403
    api.sign_in(Role.ADMIN, EVERY_ACCOUNT)
    text = (await api.page("/rejected/installation")).text
    assert "whose is this" in text
    assert rejected_item(1)["event_id"] not in text


async def test_another_account_s_attempt_is_told_apart_from_none_by_nobody(api: Api) -> None:
    api.put(attempts, attempt(1, account="other"))
    answers = [await api.get(f"/api/attempts/{number}") for number in (1, 2)]
    assert refusal(answers[0]) == (404, "not_found")
    assert answers[0].text == answers[1].text
    api.sign_in(Role.ADMIN)
    assert (await api.page("/attempts/1")).text == (await api.page("/attempts/2")).text


@pytest.mark.parametrize(
    ("path", "table", "row"),
    [
        ("/attempts/1", attempts, attempt(response_head="<script>alert(1)</script>")),
        ("/attempts", attempts, attempt(event_id="<script>alert(1)</script>")),
        ("/dead-letters", dead_webhooks, dead_letter(event_id="<script>alert(1)</script>")),
        ("/rejected", rejected, rejected_item(item="<script>alert(1)</script>")),
    ],
)
async def test_a_page_escapes_what_others_wrote(api: Api, path: str, table: Table, row: dict[str, Any]) -> None:
    api.put(table, row)
    api.sign_in(Role.ADMIN)
    shown = await api.page(path)
    assert shown.status_code == 200
    assert "<script>alert" not in shown.text
    assert "&lt;script&gt;alert(1)" in shown.text


async def test_a_viewer_sees_no_payloads_and_no_answers(api: Api) -> None:
    api.put(attempts, attempt(response_head="no such number: 15551230001"))
    api.put(rejected, rejected_item(error="to: 15551230001 is not a number"))
    api.sign_in(Role.VIEWER)
    for path in ("/attempts", "/attempts/1", "/rejected"):
        shown = await api.page(path)
        assert shown.status_code == 200
        assert "15551230001" not in shown.text


@pytest.mark.parametrize("name", ERROR_CLASSES)
async def test_an_attempt_says_what_its_error_means(api: Api, name: str) -> None:
    api.put(attempts, attempt(error_class=name))
    api.sign_in(Role.VIEWER)
    assert ERROR_CLASSES[name].meaning.replace("'", "&#39;") in (await api.page("/attempts/1")).text


@pytest.mark.parametrize("name", ERROR_CLASSES)
def test_attempts_can_be_filtered_by_every_error(name: str) -> None:
    outcome = answered(404) if name in ANSWERED else Outcome(error_class=name)
    assert outcome.label in OUTCOMES


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": None, "error_class": "connect", "outcome": "connect", "response_head": ""}, "There was no answer."),
        ({"response_head": ""}, "The answer had no body."),
    ],
)
async def test_an_attempt_without_an_answer_says_so(api: Api, changes: dict[str, Any], told: str) -> None:
    api.put(attempts, attempt(1, **changes))
    api.sign_in(Role.SUPPORT)
    assert told in (await api.page("/attempts/1")).text


async def test_a_dead_letter_that_a_replay_delivered_says_when(api: Api) -> None:
    api.put(dead_webhooks, dead_letter(delivered_at=NOW))
    api.sign_in(Role.VIEWER)
    assert '<td data-label="Delivered since"><time datetime="2026-11-18T' in (await api.page("/dead-letters")).text


@pytest.mark.parametrize(("path", "table", "make"), LISTS)
async def test_a_page_without_rows_says_so_and_how_to_clear_the_filters(
    api: Api, path: str, table: Table, make: Make
) -> None:
    api.sign_in(Role.VIEWER)
    assert "Clear filters" not in (await api.page(f"/{path}")).text
    assert "Clear filters" in (await api.page(f"/{path}", params={"event_id": "x"})).text


def test_the_lists_read_alike_on_both_databases(database: Engine) -> None:
    asked: list[tuple[Table, dict[str, Any], Callable[..., Any], ListFilter]] = [
        (attempts, attempt(), list_attempts, AttemptsFilter(outcome="5xx", limit=1)),
        (dead_webhooks, dead_letter(), dead_letters, DeadLettersFilter(endpoint="crm", limit=1)),
        (rejected, rejected_item(), list_rejected, RejectedFilter(reason="unknown_status", limit=1)),
    ]
    with database.begin() as connection:
        for table, row, query, wanted in asked:
            connection.execute(table.insert(), [row])
            (found,) = query(connection, "acme", wanted).rows
            assert found.event_id == "evt_1"


@pytest.mark.parametrize(("path", "table", "make", "name", "value"), FILTERS)
async def test_a_page_is_read_in_the_order_of_an_index(
    api: Api, path: str, table: Table, make: Make, name: str, value: str
) -> None:
    asked: list[tuple[str, Any]] = []

    @listens_for(api.engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    await listed(api, path, **{name: value})
    assert asked
    for statement, parameters in asked:
        with api.engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        steps = " ".join(row[3] for row in plan)
        assert f"SEARCH {table.name} USING INDEX" in steps
        # One webhook has few rows, which may be sorted.
        assert "TEMP B-TREE" not in steps or name == "event_id"


async def test_what_may_be_an_opt_out_stands_first_on_pages_that_follow_one_another(api: Api) -> None:
    api.put(rejected, *(rejected_item(nth, may_opt_out=nth in (2, 4)) for nth in range(1, 7)))
    for limit in (1, 2, 3, 4, 5, 6):
        seen: list[str] = []
        cursor = None
        while True:
            query = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
            answer = (await api.get("/api/rejected", params=query)).json()
            seen += [row["event_id"] for row in answer["data"]]
            cursor = answer["next_cursor"]
            if cursor is None:
                break
        assert seen == ["evt_4", "evt_2", "evt_6", "evt_5", "evt_3", "evt_1"]


async def test_a_cursor_of_either_part_belongs_to_its_question(api: Api) -> None:
    api.put(rejected, *(rejected_item(nth, may_opt_out=nth == 1) for nth in range(1, 5)))
    for limit in (1, 2):
        cursor = (await api.get("/api/rejected", params={"limit": limit})).json()["next_cursor"]
        other = {"cursor": cursor, "reason": "unknown_status"}
        assert refusal(await api.get("/api/rejected", params=other)) == (422, "validation_failed")


async def test_the_page_marks_what_may_be_an_opt_out_and_lists_it_alone(api: Api) -> None:
    api.put(rejected, rejected_item(1, may_opt_out=True, error="first"), rejected_item(2, error="second"))
    api.sign_in(Role.SUPPORT)
    shown = (await api.page("/rejected")).text
    assert shown.index("first") < shown.index("second")
    assert "may be an opt-out</span>" in shown
    alone = (await api.page("/rejected", params={"may_opt_out": "true"})).text
    assert "second" not in alone
