from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from sinks.webhooks.contact_queue import ContactQueue
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.window import Admission
from tests.unit.sinks.sink_parts import ledger


def delivery(number: int, contact: str | None) -> Delivery:
    return Delivery("acme/crm", str(number), "delivery", b"", contact, Admission(ledger(), 0, 0, 1))


@given(st.lists(st.sampled_from(["a", "b", "c", None, "take", "end"]), max_size=60))
def test_each_contact_has_one_under_way_and_keeps_its_order(steps: list[str | None]) -> None:
    queue, under_way, added, left = ContactQueue(), [], defaultdict(list), defaultdict(list)
    for number, step in enumerate(steps):
        if step == "take":
            if queue.ready:
                taken = queue.ready.popleft()
                under_way.append(taken)
                left[taken.contact].append(taken)
        elif step == "end":
            if under_way:
                queue.release(under_way.pop(0))
        else:
            new = delivery(number, step)
            queue.add(new)
            added[step].append(new)
        contacts = [each.contact for each in under_way if each.contact is not None]
        assert len(contacts) == len(set(contacts))
        assert len(queue) == sum(map(len, added.values())) - sum(map(len, left.values()))
    for each in queue.emptied():
        left[each.contact].append(each)
    assert left == added
    assert len(queue) == 0


def test_what_is_added_after_emptying_waits_for_what_is_under_way() -> None:
    queue = ContactQueue()
    first, second, third = (delivery(number, "a") for number in range(3))
    queue.add(first)
    queue.ready.popleft()
    queue.add(second)
    assert queue.emptied() == [second]
    queue.add(third)
    assert not queue.ready
    queue.release(first)
    assert list(queue.ready) == [third]
