"""An endpoint's options: a rate, batches, its own headers, no signature."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from outbound.formats import CLOUDEVENT
from outbound.outcomes import Outcome, answered
from outbound.signing import Signer
from sinks.webhooks.breaker import FAILURES, State
from sinks.webhooks.deferrals import Deferral
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.lane import Lane
from sinks.webhooks.lane_setup import LaneSetup
from sinks.webhooks.window import Admission
from tests.clock import MovedClock, settled
from tests.unit.sinks.sink_parts import OK, SECRET, Receiver, endpoint, ledger


class Owner:
    """A lane, its clock, its receiver, and what the lane reports."""

    def __init__(self, *, allow_http: bool = False, **config: Any) -> None:
        self.clock = MovedClock()
        self.receiver = Receiver()
        self.attempts: list[tuple[str, Outcome, str]] = []
        self.put_off: list[tuple[str, Deferral]] = []
        self.lane = Lane(
            "acme/crm",
            endpoint(**config),
            LaneSetup(post=self.receiver.post, owner=self, cap=4, clock=self.clock),
            longest_rest=60.0,
            allow_http=allow_http,
        )

    def attempted(self, delivery: Delivery, outcome: Outcome, url: str, seconds: float) -> None:
        self.attempts.append((delivery.event_id, outcome, url))

    def closed(self, name: str, outcome: Outcome) -> None: ...

    def deferred(self, delivery: Delivery, reason: Deferral) -> None:
        self.put_off.append((delivery.event_id, reason))

    def abandoned(self, delivery: Delivery) -> None: ...

    def broken(self, error: BaseException) -> None:
        raise AssertionError from error

    async def offer(self, *ids: str, **changes: Any) -> list[Deferral | None]:
        """Offer deliveries; an id such as `a1` is about contact `a`."""
        answers = [
            self.lane.offer(
                Delivery(
                    "acme/crm",
                    i,
                    "delivery",
                    i.encode(),
                    i.rstrip("0123456789"),
                    Admission(ledger(), 0, 0, 1),
                    **changes,
                )
            )
            for i in ids
        ]
        await settled()
        return answers

    async def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass while every request is answered at once."""
        for _ in range(round(seconds / step)):
            await self.receiver.answer_all(OK)
            await self.clock.move(step)
        await self.receiver.answer_all(OK)

    @property
    def bodies(self) -> list[bytes]:
        return [request.body for request in self.receiver.requests]


async def test_a_rate_limit_spaces_requests() -> None:
    owner = Owner(rate_limit=2.0)
    await owner.offer("a1", "b1", "c1", "d1")
    assert owner.receiver.ids == ["a1"]
    await owner.clock.move(0.5)
    assert owner.receiver.ids == ["a1", "b1"]
    await owner.pass_time(1.0)
    assert owner.receiver.ids == ["a1", "b1", "c1", "d1"]


async def test_a_limit_does_not_wait_for_answers() -> None:
    owner = Owner(rate_limit=2.0)
    await owner.offer("a1", "b1", "c1", "d1", "e1", "f1")
    for _ in range(10):
        await owner.clock.move(0.5)
    assert len(owner.receiver.open) == 4


async def test_what_a_limit_lets_go_too_late_is_deferred() -> None:
    owner = Owner(rate_limit=0.1)
    answers = await owner.offer(*[f"{chr(97 + n)}1" for n in range(8)])
    assert answers == [None] * 6 + ["rate_limited"] * 2  # 6 in a minute


@pytest.mark.parametrize("limit", [{"rate_limit": 1}, {"list_rate_limits": {"+18005551234": 0.1}}])
async def test_what_a_limit_lets_go_too_late_does_not_wait_for_a_probe_either(limit: dict[str, Any]) -> None:
    owner = Owner(**limit)
    for number in range(FAILURES):
        await owner.offer(f"f{number}")
        await owner.clock.move(1.0)
        await owner.receiver.answer_all(Outcome(error_class="timeout"))
    await owner.clock.move(5.0)
    await owner.offer(*[f"{chr(97 + n)}1" for n in range(100)], list_number="+18005551234")
    assert owner.lane.breaker.state is State.PROBING
    assert owner.lane.queued <= 60


async def test_a_limit_that_is_lifted_lets_everything_go() -> None:
    owner = Owner(rate_limit=0.1)
    await owner.offer("a1", "b1", "c1")
    owner.lane.configure(endpoint())
    await settled()
    await owner.receiver.answer_all(OK)
    assert owner.receiver.ids == ["a1", "b1", "c1"]


async def test_a_contact_with_ever_more_events_does_not_keep_others_from_an_endpoint_at_its_limit() -> None:
    owner = Owner(rate_limit=1)
    for number in range(30):
        await owner.offer(f"a{number}", f"a{number + 100}")
        if number == 5:
            await owner.offer("b1")
        await owner.clock.move(1.0)
        await owner.receiver.answer_all(OK)
    place = owner.receiver.ids.index("b1")
    assert place == 12


async def test_a_limit_that_is_raised_applies_at_once() -> None:
    owner = Owner(rate_limit=0.01)
    await owner.offer("a1")
    owner.lane.configure(endpoint(rate_limit=10))
    await owner.offer("b1", "c1")
    await owner.clock.move(0.1)
    assert owner.receiver.ids == ["a1", "b1", "c1"]


async def test_a_batch_goes_when_it_is_full() -> None:
    owner = Owner(batch_events=3)
    await owner.offer("a1", "b1", loose=True)
    assert owner.bodies == []
    await owner.offer("c1", "d1", loose=True)
    assert owner.bodies == [b"[a1,b1,c1]"]
    await owner.clock.move(1.0)
    assert owner.bodies == [b"[a1,b1,c1]", b"[d1]"]


async def test_events_of_one_contact_are_in_batches_one_after_the_other() -> None:
    owner = Owner(batch_events=10)
    await owner.offer("a1", "a2", "b1", loose=True)
    await owner.clock.move(1.0)
    assert owner.bodies == [b"[a1,b1]"]
    await owner.receiver.answer(answered(500))
    await owner.clock.move(1.0)
    assert owner.bodies == [b"[a1,b1]", b"[a2]"]


async def test_a_retry_does_not_wait_for_a_batch() -> None:
    owner = Owner(batch_events=10)
    await owner.offer("a1")
    assert owner.bodies == [b"a1"]


async def test_a_batch_of_one_probes_an_endpoint_too() -> None:
    owner = Owner(batch_events=10)
    for number in range(5):
        await owner.offer(f"{chr(97 + number)}1")
        await owner.receiver.answer(Outcome(error_class="timeout"))
    await owner.clock.move(5.0)
    await owner.offer("x1", loose=True)
    await owner.clock.move(1.0)
    await owner.receiver.answer(OK)
    assert owner.lane.breaker.closed


async def test_headers_of_the_endpoint_go_with_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "Bearer abc")
    owner = Owner(headers={"Authorization": "env:CRM_TOKEN", "X-Tenant": "7"})
    await owner.offer("a1")
    [request] = owner.receiver.requests
    ours = Signer(SECRET).headers("a1", b"a1", owner.clock.now_ms() // 1_000)
    assert request.headers == {"Authorization": "Bearer abc", "X-Tenant": "7", **ours}


async def test_a_header_that_is_missing_is_a_missing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRM_TOKEN", raising=False)
    owner = Owner(headers={"Authorization": "env:CRM_TOKEN"})
    await owner.offer("a1")
    assert owner.attempts[0][1] == Outcome(error_class="secret_missing")
    assert owner.receiver.requests == []


async def test_the_content_type_is_that_of_the_body() -> None:
    owner = Owner()
    await owner.offer("a1", content_type=CLOUDEVENT)
    assert owner.receiver.requests[0].headers["Content-Type"] == CLOUDEVENT


async def test_without_a_secret_there_is_the_id_alone() -> None:
    owner = Owner(secret="")
    await owner.offer("a1")
    assert owner.receiver.requests[0].headers == {"webhook-id": "a1"}


async def test_a_callback_goes_to_its_own_url_and_410_stops_no_other() -> None:
    owner = Owner(url="")
    await owner.offer("a1", url="https://sender.example.com/1")
    await owner.receiver.answer(answered(410))
    await owner.offer("b1", url="https://sender.example.com/2")
    assert [request.url for request in owner.receiver.requests] == [
        "https://sender.example.com/1",
        "https://sender.example.com/2",
    ]
    assert owner.attempts[0][2] == "https://sender.example.com/1"
    assert owner.put_off == []


@pytest.mark.parametrize("allowed", [True, False])
async def test_the_account_says_whether_http_will_do(allowed: bool) -> None:
    owner = Owner(allow_http=allowed)
    await owner.offer("a1")
    assert owner.receiver.requests[0].allow_http is allowed


async def test_what_is_kept_of_an_answer_holds_no_secret_of_the_endpoint() -> None:
    owner = Owner(headers={"Authorization": "Token hunter2hunter2"})
    await owner.offer("a1")
    await owner.receiver.answer(answered(500, head=f"got Token hunter2hunter2 and {SECRET}"))
    assert owner.attempts[0][1].head == "got *** and ***"


async def test_nor_a_secret_that_was_replaced_while_the_request_was_under_way() -> None:
    owner = Owner(secret="hunter2hunter2")
    await owner.offer("a1")
    owner.lane.configure(endpoint(secret="another-secret"))
    await owner.offer("b1")
    await owner.receiver.answer(answered(500, head="signed with hunter2hunter2"))
    assert owner.attempts[0][1].head == "signed with ***"


async def test_stopping_ends_a_wait_for_the_limit() -> None:
    owner = Owner(rate_limit=0.1)
    await owner.offer("a1", "b1")
    before = asyncio.all_tasks()
    owner.lane.stop()
    await settled()
    assert len(asyncio.all_tasks()) < len(before)
