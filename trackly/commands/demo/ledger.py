"""The demo's ledger: every posted item is accounted for, or the demo fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from schemas.records import ContactState, RejectedRecord
from trackly.commands.demo.callbacks import Fate, Traffic
from trackly.commands.demo.receiver import Receiver


@dataclass(frozen=True)
class Ledger:
    """The items' outcomes, and every discrepancy as a sentence."""

    posted: int
    delivered_at_once: int
    delivered_after_retries: int
    rejected: int
    nothing_new: int
    problems: tuple[str, ...]

    @property
    def balances(self) -> bool:
        """Whether both sides are equal and nothing else is wrong."""
        accounted = self.delivered_at_once + self.delivered_after_retries + self.rejected + self.nothing_new
        return self.posted == accounted and not self.problems


def settle(
    traffic: Traffic,
    receiver: Receiver,
    rejected: Iterable[RejectedRecord],
    contacts: Iterable[ContactState],
    dead: int,
) -> Ledger:
    """Close the ledger."""
    arrived, retried = set(receiver.arrived), receiver.retried()
    of_items = [item.webhook for item in traffic.items if item.webhook]
    rejected_count = sum(1 for _ in rejected)
    fates = Counter(item.fate for item in traffic.items)
    problems = [f"this webhook never arrived: {name}" for name in sorted(traffic.webhooks() - arrived)]
    problems += [f"this webhook should not have come: {name}" for name in sorted(arrived - traffic.webhooks())]
    if rejected_count != fates[Fate.REJECTED]:
        problems.append(f"{rejected_count} items were rejected, {fates[Fate.REJECTED]} must be")
    if receiver.wrong_signatures:
        problems.append(f"{receiver.wrong_signatures} webhooks had a wrong signature")
    if dead:
        problems.append(f"{dead} webhooks were given up")
    problems += _contact_problems(traffic, contacts)
    return Ledger(
        posted=len(traffic.items),
        delivered_at_once=sum(1 for name in of_items if name in arrived and name not in retried),
        delivered_after_retries=sum(1 for name in of_items if name in retried),
        rejected=rejected_count,
        nothing_new=fates[Fate.NOTHING_NEW],
        problems=tuple(problems),
    )


def _contact_problems(traffic: Traffic, contacts: Iterable[ContactState]) -> list[str]:
    last = {state.phone_number: state for state in contacts}
    out = {number: state.reason for number, state in last.items() if not state.active}
    problems = [f"{n} must be removed ({why}) but is not" for n, why in traffic.removed.items() if out.get(n) != why]
    problems += [f"{n} is removed ({why}) but must not be" for n, why in out.items() if n not in traffic.removed]
    return problems
