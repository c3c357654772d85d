"""What needs attention: a symptom, and the next step. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from console.queries.statistics import MANY, Webhooks
from schemas.records import EndpointConfig

FEW_ATTEMPTS = 10
"""With fewer attempts, a failure rate means nothing."""

FAILING_SHARE = 0.5
OLD_SECONDS = 60.0
ROTATION_ENDS_MS = 24 * 3_600_000


LostOptOuts = Literal["all", "some"] | None
"""Of which contacts of an account opt-outs may be lost."""


@dataclass(frozen=True, slots=True)
class Attention:
    """One symptom. `tone` is `bad` or `warn`; `path` follows the account's base and leads to the next step."""

    tone: str
    symptom: str
    step: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountHealth:
    """The health of an account. `dead` and `rejected` (and those of them that may be opt-outs) are from the last day,
    `held` are contacts held by brakes; `now` is in ms.

    `behind_seconds`: age of the read model, None while nobody writes it; `lost`: records that it lacks for good.
    """

    endpoints: Sequence[EndpointConfig]
    webhooks: Iterable[Webhooks]
    dead: int
    rejected: int
    rejected_opt_outs: int = 0
    held: int = 0
    lost_opt_outs: LostOptOuts = None
    behind_seconds: float | None
    lost: int = 0
    now: int


def attention(health: AccountHealth) -> list[Attention]:
    """Return what to look at, worst first."""
    active = {endpoint.id for endpoint in health.endpoints if endpoint.paused_at is None}
    found = [
        *_of_lost_opt_outs(health.lost_opt_outs),
        *_of_brakes(health.held),
        *_of_endpoints(health.endpoints, health.now),
        *_of_webhooks(health.webhooks, active),
        *_of_counts(health.dead, health.rejected, health.rejected_opt_outs),
        *_of_age(health.behind_seconds),
        *_of_loss(health.lost),
    ]
    return sorted(found, key=lambda each: each.tone)


def _of_lost_opt_outs(whose: str | None) -> Iterator[Attention]:
    if whose is not None:
        who = "no contact may" if whose == "all" else "some contacts must not"
        symptom = f"Opt-outs may be among records that Kafka deleted unread: {who} be texted."
        yield Attention("bad", symptom, "Import your providers' opt-outs, then settle it with trackly losses.", "")


def _of_brakes(held: int) -> Iterator[Attention]:
    if held:
        symptom = f"{_counted(held, 'removal is', 'removals are')} held: rules would remove too many contacts at once."
        yield Attention("bad", symptom, "Review and decide.", "/held")


def _of_endpoints(endpoints: Iterable[EndpointConfig], now: int) -> Iterator[Attention]:
    for endpoint in endpoints:
        path = f"/webhooks/{quote(endpoint.id, safe='')}"
        if endpoint.paused_at is not None:
            symptom = f"Endpoint {endpoint.id} is paused ({endpoint.paused_reason}); its webhooks wait."
            yield Attention("bad", symptom, "Fix the receiver, test it, then resume.", path)
        ends = endpoint.secret_next_at
        if endpoint.secret_next is not None and ends is not None and now < ends < now + ROTATION_ENDS_MS:
            symptom = f"The old secret of {endpoint.id} stops signing within a day."
            yield Attention("warn", symptom, "Make sure the receiver has the new one.", path)


def _of_webhooks(webhooks: Iterable[Webhooks], active: set[str]) -> Iterator[Attention]:
    for each in webhooks:
        failed = each.attempts - each.taken
        if each.endpoint in active and each.attempts >= FEW_ATTEMPTS and failed / each.attempts >= FAILING_SHARE:
            symptom = f"{failed:,} of {each.attempts:,} attempts at {each.endpoint} failed in the last day."
            yield Attention("bad", symptom, "See its responses.", f"/webhooks/{quote(each.endpoint, safe='')}")


def _of_counts(dead: int, rejected: int, opt_outs: int) -> Iterator[Attention]:
    if opt_outs:
        what = _counted(opt_outs, "payload that may be an opt-out", "payloads that may be opt-outs")
        symptom = f"{what} could not be processed in the last day."
        yield Attention("bad", symptom, "Read each one and remove those who opted out.", "/rejected?may_opt_out=true")
    if dead:
        symptom = f"{_counted(dead, 'webhook became a dead letter', 'webhooks became dead letters')} in the last day."
        yield Attention("bad", symptom, "See why, then replay them.", "/dead-letters")
    if rejected:
        symptom = f"{_counted(rejected, 'payload', 'payloads')} could not be processed in the last day."
        yield Attention("warn", symptom, "See the reasons; fix them, then reprocess.", "/rejected")


def _of_age(behind_seconds: float | None) -> Iterator[Attention]:
    if behind_seconds is None:
        symptom = "The read model is not being updated."
        yield Attention("bad", symptom, "Start trackly read-model; nothing is lost in the meantime.", "")
    elif behind_seconds > OLD_SECONDS:
        symptom = f"These pages are {round(behind_seconds / 60):,} min behind."
        yield Attention("warn", symptom, "See what is left to read with trackly read-model status.", "")


def _of_loss(lost: int) -> Iterator[Attention]:
    if lost:
        symptom = f"These pages lack {_counted(lost, 'record', 'records')}, which Kafka deleted unread."
        yield Attention("bad", symptom, "Rebuild them from what Kafka still has with trackly read-model rebuild.", "")


def _counted(number: int, one: str, many: str) -> str:
    if number > MANY:
        return f"More than {MANY:,} {many}"
    return f"{number:,} {one if number == 1 else many}"
