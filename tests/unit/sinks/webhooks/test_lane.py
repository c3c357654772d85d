from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outbound.outcomes import Outcome, answered
from outbound.signing import Signer
from sinks.webhooks.breaker import FAILURES, State
from sinks.webhooks.deferrals import SLICE, Deferral
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.gate import PROBE_QUEUE
from sinks.webhooks.lane import Lane
from sinks.webhooks.lane_setup import LaneSetup
from sinks.webhooks.pace import LEAST_QUEUE, keeps_pace, queue_bound
from sinks.webhooks.patience import IMPATIENCE, PATIENCE
from sinks.webhooks.signed_post import Post
from sinks.webhooks.window import Admission, Window
from sinks.webhooks.workers import FIRST_LATENCY
from tests.clock import START, MovedClock, settled
from tests.unit.sinks.sink_parts import OK, SECRET, Receiver, endpoint, ledger

TIMEOUT = Outcome(error_class="timeout")


class Owner:
    """Records a lane's reports, and knows the lane, its clock, and its receiver."""

    def __init__(self, cap: int = 16, post: Post | None = None, **config: Any) -> None:
        self.clock = MovedClock()
        self.stood_still = 0.0
        self.receiver = Receiver()
        self.done: list[tuple[str, str]] = []
        self.took: list[float] = []
        self.put_off: list[tuple[str, Deferral]] = []
        self.let_go: list[str] = []
        self.errors: list[BaseException] = []
        self.lane = Lane(
            "acme/crm",
            endpoint(**config),
            LaneSetup(
                post=post or self.receiver.post,
                owner=self,
                cap=cap,
                clock=self.clock,
                lag=lambda: self.stood_still,
            ),
            longest_rest=60.0,
        )

    def attempted(self, delivery: Delivery, outcome: Outcome, url: str, seconds: float) -> None:
        self.done.append((delivery.event_id, outcome.label))
        self.took.append(seconds)

    def closed(self, name: str, outcome: Outcome) -> None: ...

    def deferred(self, delivery: Delivery, reason: Deferral) -> None:
        self.put_off.append((delivery.event_id, reason))

    def abandoned(self, delivery: Delivery) -> None:
        self.let_go.append(delivery.event_id)

    def broken(self, error: BaseException) -> None:
        self.errors.append(error)

    async def offer(self, *ids: str, contact: str | None = None) -> list[Deferral | None]:
        """Offer deliveries; an id such as `a1` is about contact `a` unless a contact is given."""
        answers = [
            self.lane.offer(
                Delivery(i, i, "delivery", b"{}", contact or i.rstrip("0123456789"), Admission(ledger(), 0, 0, 1))
            )
            for i in ids
        ]
        await settled()
        return answers

    async def stall(self, seconds: float) -> None:
        """Let time pass in which the process is frozen."""
        await settled()
        self.stood_still += seconds
        await self.clock.move(seconds)

    async def open_breaker_with_queue(self, length: int) -> list[str]:
        """Open the breaker while this many wait, and stop at the first that are rejected."""
        await self.offer(*[f"{chr(97 + n)}1" for n in range(16)])
        waiting = [f"w{number}" for number in range(length)]
        for each in waiting:
            self.lane.offer(Delivery(each, each, "delivery", b"{}", each, Admission(ledger(), 0, 0, 1)))
        for request in self.receiver.open[: FAILURES - 1]:
            request.answer.set_result(TIMEOUT)
        await settled()
        self.receiver.open[0].answer.set_result(TIMEOUT)
        while not self.put_off:
            await asyncio.sleep(0)
        return waiting[FAILURES - 1 :]

    async def open_breaker(self) -> None:
        for number in range(FAILURES):
            await self.offer(f"f{number}", contact=f"contact {number}")
            await self.receiver.answer(TIMEOUT)
        assert self.lane.breaker.state is State.OPEN


@pytest.mark.parametrize(
    ("latency", "cap", "soon", "room", "bound"),
    [
        (0.1, 16, 60.0, 20_000, 9_600),
        (5.0, 16, 60.0, 20_000, 192),
        (0.1, 1, 60.0, 20_000, 600),
        (5.0, 16, 10.0, 20_000, 32),
        (5.0, 16, 1.0, 20_000, 4),
        (16_000.0, 16, 60.0, 20_000, 1),
        (0.01, 16, 60.0, 20_000, 10_000),
        (0.01, 16, 60.0, 100, 50),
        (0.01, 16, 60.0, 0, LEAST_QUEUE),
    ],
)
def test_a_lane_holds_what_waits_no_longer_than_if_it_were_put_off_and_leaves_room_for_others(
    latency: float, cap: int, soon: float, room: float, bound: float
) -> None:
    assert queue_bound(latency, cap, soon, room) == bound


@example([0.01] * 200)
@given(st.lists(st.floats(1e-4, 60.0), min_size=1, max_size=200))
def test_however_many_lanes_are_slow_there_is_room_for_another(latencies: list[float]) -> None:
    window = Window(20_000, 1 << 40, MovedClock())
    held = [0.0] * len(latencies)
    for _ in range(3):
        for number, latency in enumerate(latencies):
            window.events = round(sum(held))
            held[number] = max(held[number], queue_bound(latency, 16, 60.0, window.room))
    assert sum(held) < 20_000 - 16


@pytest.mark.parametrize(
    ("latency", "cap", "gap", "paces"),
    [
        (0.002, 16, 1.0, True),
        (0.1, 16, 1.0, False),
        (0.2, 16, 50.0, True),
        (1.0, 16, 10.0, False),
    ],
)
def test_waiting_for_an_endpoint_is_measured_by_the_events_that_pass(
    latency: float, cap: int, gap: float, paces: bool
) -> None:
    assert keeps_pace(latency, cap, gap) == paces


async def test_a_delivery_is_posted_signed_with_the_endpoints_secret() -> None:
    owner = Owner(url="https://crm.example.com/hook")
    await owner.offer("a1")
    [request] = owner.receiver.requests
    assert request.url == "https://crm.example.com/hook"
    assert request.headers == Signer(SECRET).headers("a1", b"{}", owner.clock.now_ms() // 1_000)
    await owner.receiver.answer(OK)
    assert owner.done == [("a1", "2xx")]
    assert (owner.lane.queued, owner.lane.in_flight) == (0, 0)


async def test_requests_at_a_time_are_limited_and_the_queue_is_first_in_first_out() -> None:
    owner = Owner(cap=2)
    await owner.offer("a1", "b1", "c1", "d1")
    assert owner.receiver.ids == ["a1", "b1"]
    assert (owner.lane.queued, owner.lane.in_flight) == (2, 2)
    await owner.receiver.answer(OK)
    assert owner.receiver.ids == ["a1", "b1", "c1"]
    await owner.receiver.answer_all(OK)
    assert [event for event, _ in owner.done] == ["a1", "b1", "c1", "d1"]


async def test_one_delivery_of_a_contact_is_under_way_at_a_time() -> None:
    owner = Owner()
    await owner.offer("a1", "a2", "b1", "a3")
    assert owner.receiver.ids == ["a1", "b1"]
    await owner.receiver.answer_all(OK)
    assert [event for event in owner.receiver.ids if event[0] == "a"] == ["a1", "a2", "a3"]


async def test_a_failure_lets_the_next_delivery_of_the_contact_go() -> None:
    owner = Owner()
    await owner.offer("a1", "a2")
    await owner.receiver.answer(answered(500))
    assert owner.receiver.ids == ["a1", "a2"]


async def test_deliveries_without_a_contact_keep_no_order() -> None:
    owner = Owner()
    for number in range(3):
        owner.lane.offer(Delivery("e", f"{number}", "delivery", b"", None, Admission(ledger(), 0, 0, 1)))
    await settled()
    assert len(owner.receiver.open) == 3


@given(
    contacts=st.lists(st.sampled_from("abc"), max_size=30),
    cap=st.integers(1, 4),
    picks=st.lists(st.integers(0, 3), min_size=30, max_size=30),
)
def test_order_of_each_contact_holds_whatever_the_order_of_answers(
    contacts: list[str], cap: int, picks: list[int]
) -> None:
    async def scenario() -> None:
        owner = Owner(cap=cap)
        offered = [f"{contact}{number}" for number, contact in enumerate(contacts)]
        assert set(await owner.offer(*offered)) <= {None}
        for pick in picks:
            if owner.receiver.open:
                owner.receiver.open[pick % len(owner.receiver.open)].answer.set_result(OK)
                await settled()
        assert owner.receiver.open == []
        for contact in "abc":
            mine = [event for event in offered if event[0] == contact]
            assert [event for event in owner.receiver.ids if event[0] == contact] == mine
        assert owner.lane.queued == owner.lane.in_flight == 0

    asyncio.run(scenario())


async def test_what_cannot_be_tried_soon_is_deferred() -> None:
    owner = Owner(cap=1)
    owner.lane.workers.latency = 5.0
    answers = await owner.offer(*[f"{chr(97 + n)}1" for n in range(14)])
    assert answers == [None] * 12 + ["overflow"] * 2  # 12 in a minute


async def test_a_slow_endpoint_gets_a_short_queue() -> None:
    owner = Owner(cap=1)
    await owner.offer("a1")
    await owner.clock.move(5.0)
    await owner.receiver.answer(OK)
    assert owner.lane.workers.latency == pytest.approx(0.1 * 5.0 + 0.9 * FIRST_LATENCY)


async def test_failures_in_a_row_open_the_breaker_and_empty_the_queue() -> None:
    owner = Owner(cap=FAILURES)
    await owner.offer(*[f"{chr(97 + n)}1" for n in range(FAILURES)], "a2", "y1", "y2")
    await owner.receiver.answer(TIMEOUT, FAILURES - 1)
    assert owner.put_off == []
    # The failure of a1 let a2 go, that of b1 let y1 go; both are under way.
    await owner.receiver.answer(TIMEOUT)
    assert owner.put_off == [("y2", "breaker_open")]
    assert await owner.offer("z1") == ["breaker_open"]
    await owner.receiver.answer_all(OK)
    assert owner.lane.breaker.state is State.OPEN
    assert owner.lane.queued == owner.lane.in_flight == 0


async def test_answers_below_500_do_not_open_the_breaker() -> None:
    owner = Owner()
    for number in range(3 * FAILURES):
        await owner.offer(f"a{number}")
        await owner.receiver.answer(answered(429 if number % 2 else 400))
    assert owner.lane.breaker.closed


async def test_one_real_delivery_probes_and_the_others_wait_for_it() -> None:
    owner = Owner()
    await owner.open_breaker()
    await owner.clock.move(5.0)
    assert await owner.offer("a1", "b1", "c1") == [None, None, None]
    assert [r.headers["webhook-id"] for r in owner.receiver.open] == ["a1"]
    await owner.receiver.answer(OK)
    assert [r.headers["webhook-id"] for r in owner.receiver.open] == ["b1", "c1"]
    assert owner.lane.breaker.closed


async def test_a_probe_that_fails_turns_the_others_down() -> None:
    owner = Owner()
    await owner.open_breaker()
    await owner.clock.move(5.0)
    await owner.offer("a1", "b1", "c1")
    await owner.receiver.answer(TIMEOUT)
    assert owner.put_off == [("b1", "breaker_open"), ("c1", "breaker_open")]
    assert owner.lane.queued == 0
    await owner.clock.move(9.0)
    assert await owner.offer("d1") == ["breaker_open"]
    await owner.clock.move(1.0)
    assert await owner.offer("d1") == [None]


async def test_a_bounded_number_waits_for_a_probe() -> None:
    owner = Owner()
    await owner.open_breaker()
    await owner.clock.move(5.0)
    answers = await owner.offer(*[f"a{number}" for number in range(PROBE_QUEUE + 2)])
    assert answers == [None] * (PROBE_QUEUE + 1) + ["breaker_open"]


async def test_gone_pauses_until_the_endpoint_is_resumed(caplog: pytest.LogCaptureFixture) -> None:
    owner = Owner(cap=1)
    await owner.offer("a1", "b1")
    await owner.receiver.answer(answered(410))
    assert owner.done == [("a1", "4xx")]
    assert owner.put_off == [("b1", "paused")]
    assert await owner.offer("c1") == ["paused"]
    assert "acme/crm wants no more webhooks (410)" in caplog.text
    owner.lane.configure(endpoint())
    assert await owner.offer("c1") == [None]


@pytest.mark.parametrize(("config", "reason"), [(endpoint(enabled=False), "disabled"), (None, "deleted")])
async def test_a_queue_follows_the_settings(config: Any, reason: Deferral) -> None:
    owner = Owner(cap=1)
    await owner.offer("a1", "a2", "b1")
    owner.lane.configure(config)
    assert owner.put_off == [("a2", reason), ("b1", reason)] or owner.put_off == [
        ("b1", reason),
        ("a2", reason),
    ]
    assert await owner.offer("c1") == [reason]
    await owner.receiver.answer_all(OK)
    assert owner.done == [("a1", "2xx")]


async def test_new_settings_apply_to_what_is_sent_after_them() -> None:
    owner = Owner(cap=1)
    await owner.offer("a1", "b1")
    owner.lane.configure(endpoint(url="https://new.example.com/", secret="another"))
    await owner.receiver.answer_all(OK)
    old, new = owner.receiver.requests
    assert (old.url, new.url) == ("https://crm.example.com/hook", "https://new.example.com/")
    assert new.headers == Signer("another").headers("b1", b"{}", owner.clock.now_ms() // 1_000)


async def test_new_settings_close_the_breaker() -> None:
    owner = Owner()
    await owner.open_breaker()
    owner.lane.configure(endpoint(url="https://new.example.com/"))
    assert await owner.offer("a1") == [None]


async def test_what_the_old_url_did_not_answer_does_not_count_against_a_new_one() -> None:
    owner = Owner()
    await owner.offer(*[f"{chr(97 + n)}1" for n in range(16)])
    owner.lane.configure(endpoint(url="https://new.example.com/hook"))
    await owner.receiver.answer(TIMEOUT, 16)
    assert owner.lane.breaker.closed
    assert owner.done == [(f"{chr(97 + n)}1", "timeout") for n in range(16)]


async def test_new_settings_let_go_who_waits_for_a_probe() -> None:
    owner = Owner()
    await owner.open_breaker()
    await owner.clock.move(5.0)
    await owner.offer("a1", "b1")
    owner.lane.configure(endpoint())
    await settled()
    assert len(owner.receiver.open) == 2
    await owner.receiver.answer_all(OK)
    assert owner.lane.queued == owner.lane.in_flight == 0


async def test_letting_go_drops_what_was_not_started() -> None:
    owner = Owner(cap=2)
    await owner.offer("a1", "a2", "b1", "c1")
    owner.lane.let_go()
    assert sorted(owner.let_go) == ["a2", "c1"]
    await owner.receiver.answer_all(OK)
    assert owner.receiver.ids == ["a1", "b1"]
    assert await owner.offer("a3") == [None]
    assert owner.receiver.ids == ["a1", "b1", "a3"]


async def test_letting_go_of_a_long_queue_defers_it() -> None:
    owner = Owner(cap=1)
    owner.lane.workers.latency = 2.0
    await owner.offer("a1", "b1", "c1", "d1")
    owner.lane.let_go()
    await settled()
    assert (owner.put_off, owner.let_go) == ([("b1", "moving"), ("c1", "moving"), ("d1", "moving")], [])
    assert owner.receiver.ids == ["a1"]


async def test_letting_go_defers_what_returned_from_a_delay_topic() -> None:
    owner = Owner(cap=1)
    await owner.offer("a1", "b1")
    back = Delivery("c1", "c1", "delivery", b"{}", "c", Admission(ledger(), 0, 0, 1), origin="sms.events/0/1")
    assert owner.lane.offer(back) is None
    owner.lane.let_go()
    await settled()
    assert (owner.put_off, owner.let_go) == ([("c1", "moving")], ["b1"])


async def test_letting_go_of_a_probe_lets_another_probe() -> None:
    owner = Owner(cap=1)
    owner.lane.breaker.record(False, 0.0)
    await owner.offer("a1")
    for _ in range(FAILURES):
        owner.lane.breaker.record(True, 0.0)
    await owner.clock.move(5.0)
    assert await owner.offer("b1", "c1") == [None, None]
    owner.lane.let_go()
    assert owner.let_go == ["b1", "c1"]
    assert await owner.offer("d1") == [None]


async def test_a_secret_that_is_missing_fails_until_it_is_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    owner = Owner(secret="env:CRM_SECRET")
    monkeypatch.delenv("CRM_SECRET", raising=False)
    await owner.offer("a1", "b1")
    assert owner.done == [("a1", "secret_missing"), ("b1", "secret_missing")]
    assert caplog.text.count("environment variable CRM_SECRET is not set") == 1
    monkeypatch.setenv("CRM_SECRET", "found")
    await owner.offer("c1")
    [request] = owner.receiver.requests
    assert request.headers == Signer("found").headers("c1", b"{}", owner.clock.now_ms() // 1_000)


async def test_a_secret_that_changes_is_used_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Owner(secret="env:CRM_SECRET")
    for number, secret in enumerate(["first", "second"]):
        monkeypatch.setenv("CRM_SECRET", secret)
        await owner.offer(f"a{number}")
        await owner.receiver.answer(OK)
        await owner.clock.move(5.0)
    signatures = [request.headers["X-Trackly-Signature"] for request in owner.receiver.requests]
    expected = [Signer(s).headers("", b"{}", 0)["X-Trackly-Signature"] for s in ("first", "second")]
    assert signatures == expected


@pytest.mark.parametrize(("answers", "came"), [(0, False), (1, True)])
async def test_waiting_for_a_place_is_in_vain_when_nothing_ends(answers: int, came: bool) -> None:
    owner = Owner(cap=16)
    await owner.offer(*[f"{chr(97 + n)}1" for n in range(16)])
    assert keeps_pace(owner.lane.workers.latency, 16, 100.0)
    waiting = asyncio.ensure_future(owner.lane.wait_for_place())
    await settled()
    await owner.receiver.answer(OK, answers)
    assert not waiting.done()
    await owner.clock.move(PATIENCE)
    assert await waiting is came


async def test_a_lane_that_was_waited_for_in_vain_is_not_waited_for_soon() -> None:
    owner = Owner()
    owner.lane.workers.latency = 0.001
    assert owner.lane.worth_waiting
    waiting = asyncio.ensure_future(owner.lane.wait_for_place())
    await owner.clock.move(PATIENCE)
    await owner.clock.move(PATIENCE)
    assert await waiting is False
    assert not owner.lane.worth_waiting
    await owner.clock.move(IMPATIENCE)
    assert owner.lane.worth_waiting


async def test_a_fast_lane_gives_places_before_patience_ends() -> None:
    owner = Owner(cap=16)
    await owner.offer(*[f"{chr(97 + n)}1" for n in range(26)])
    waiting = asyncio.ensure_future(owner.lane.wait_for_place())
    await settled()
    await owner.receiver.answer(OK, 20)
    assert waiting.done()


async def test_a_fault_is_reported() -> None:
    fault = RuntimeError("no post")

    async def post(url: str, headers: dict[str, str], body: bytes, allow_http: bool) -> Outcome:
        raise fault

    owner = Owner(post=post)
    await owner.offer("a1")
    assert owner.errors == [fault]


async def test_an_answer_that_repeats_the_url_is_kept_without_its_secrets() -> None:
    async def post(url: str, headers: dict[str, str], body: bytes, allow_http: bool) -> Outcome:
        return Outcome(404, "http_status", head=f"no such path: {url}")

    owner = Owner(post=post, url="https://me:pa55word@a.example/hook?token=k1y2z3")
    heads: list[str] = []
    owner.attempted = lambda delivery, outcome, url, seconds: heads.append(outcome.head)  # type: ignore[method-assign]
    await owner.offer("a1")
    assert heads == ["no such path: https://***@a.example/hook?***"]


async def test_a_rotation_goes_from_both_secrets_to_the_new_one_by_the_lanes_clock() -> None:
    owner = Owner(secret="old", secret_next="new", secret_next_at=START + 10_000)
    for number, seconds in enumerate([9.999, 0.001]):
        await owner.clock.move(seconds)
        await owner.offer(f"a{number}")
        await owner.receiver.answer(OK)
    both, after = (request.headers for request in owner.receiver.requests)
    at = START // 1_000
    assert both == Signer("old", "new").headers("a0", b"{}", at + 9)
    assert after == Signer("new").headers("a1", b"{}", at + 10)


async def test_a_following_secret_that_is_missing_does_not_stop_the_present_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    owner = Owner(secret="old", secret_next="env:NOT_THERE", secret_next_at=START + 10_000)
    await owner.offer("a1")
    await owner.receiver.answer(OK)
    assert owner.receiver.requests[0].headers == Signer("old").headers("a1", b"{}", START // 1_000)
    assert "environment variable NOT_THERE is not set" in caplog.text


async def test_an_endpoint_is_not_slow_because_this_process_stood_still() -> None:
    owner = Owner()
    await owner.offer(*[f"{chr(97 + n)}1" for n in range(16)])
    await owner.clock.move(0.02)
    await owner.stall(3.0)
    await owner.receiver.answer_all(OK)
    assert owner.lane.workers.latency == pytest.approx(0.02, rel=0.1)
    assert [round(seconds, 2) for seconds in owner.took] == [0.02] * 16


async def test_an_attempt_that_failed_while_this_process_stood_still_is_made_again_once() -> None:
    owner = Owner()
    await owner.offer("a1")
    await owner.stall(6.0)
    await owner.receiver.answer(TIMEOUT)
    assert owner.receiver.ids == ["a1", "a1"]
    assert owner.done == []
    await owner.stall(6.0)
    await owner.receiver.answer(TIMEOUT)
    assert owner.done == [("a1", "timeout")]


async def test_a_timeout_took_as_long_as_the_endpoint_was_given() -> None:
    owner = Owner()
    await owner.offer("a1")
    await owner.stall(1.0)
    await owner.clock.move(4.0)
    await owner.receiver.answer(TIMEOUT)
    assert owner.took == [pytest.approx(5.0)]


async def test_an_endpoint_that_fails_by_itself_gets_no_second_attempt_at_once() -> None:
    owner = Owner()
    await owner.offer("a1")
    await owner.stall(1.0)
    await owner.clock.move(4.0)
    await owner.receiver.answer(TIMEOUT)
    await owner.offer("b1")
    await owner.stall(6.0)
    await owner.receiver.answer(answered(500))
    assert owner.done == [("a1", "timeout"), ("b1", "5xx")]


async def test_a_stall_is_no_reason_to_be_impatient_with_a_lane_that_is_waited_for() -> None:
    owner = Owner()
    owner.lane.workers.latency = 0.001
    await owner.offer(*[f"{chr(97 + n)}1" for n in range(20)])
    waiting = asyncio.ensure_future(owner.lane.wait_for_place())
    await owner.stall(2.0)
    assert not waiting.done()
    await owner.receiver.answer_all(OK)
    assert await waiting
    assert owner.lane.worth_waiting


async def test_a_long_queue_is_deferred_in_slices_and_in_its_order() -> None:
    owner = Owner()
    waiting = await owner.open_breaker_with_queue(3 * SLICE)
    assert len(owner.put_off) == SLICE
    assert not owner.lane.idle
    last = Delivery("last", "last", "delivery", b"{}", waiting[-1], Admission(ledger(), 0, 0, 1))
    assert owner.lane.offer(last) is None
    await settled()
    assert owner.put_off == [(each, "breaker_open") for each in [*waiting, "last"]]


async def test_a_queue_is_shortened_when_its_endpoint_has_become_slow() -> None:
    owner = Owner(cap=1)
    await owner.offer(*[f"{contact}{number}" for number in range(500) for contact in "ab"])
    assert owner.put_off == []
    for _ in range(26):
        await owner.clock.move(5.0)
        await owner.receiver.answer(OK)
    queued = owner.lane.queued
    assert queued <= 60 / owner.lane.workers.seconds_each + 1
    put_off = [event_id for event_id, reason in owner.put_off if reason == "overflow"]
    assert len(put_off) + queued + 26 + 1 == 1_000
    for contact in "ab":
        number = len([event_id for event_id in put_off if event_id[0] == contact])
        assert [each for each in put_off if each[0] == contact] == [f"{contact}{n}" for n in range(500 - number, 500)]


async def test_a_queue_is_shortened_when_its_limit_is_lowered_and_nothing_overtakes_what_is_deferred() -> None:
    owner = Owner(rate_limit=100)
    await owner.offer(*[f"{number}" for number in range(3 * SLICE)], contact="one")
    owner.lane.configure(endpoint(rate_limit=1))
    assert owner.lane.offer(Delivery("x1", "x1", "delivery", b"{}", "x", Admission(ledger(), 0, 0, 1))) is None
    await settled()
    assert owner.lane.queued <= 60
    assert owner.put_off == [(f"{number}", "rate_limited") for number in range(61, 3 * SLICE)] + [("x1", "behind")]


async def test_what_is_still_to_be_deferred_is_let_go_of_with_the_rest() -> None:
    owner = Owner()
    await owner.open_breaker_with_queue(3 * SLICE)
    owner.lane.let_go()
    await settled()
    assert (len(owner.put_off), len(owner.let_go)) == (SLICE, 2 * SLICE - FAILURES + 1)
