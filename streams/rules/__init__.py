"""The rules of the contacts stage: a record's effect on a contact's row, and the resulting events.

Pure functions. Records arrive in any order and repeatedly: rules compare the times in the records, never the order of
arrival, so that the same records always end in the same message states.
"""

from streams.rules.clicks import MAX_CLICKS, apply_click
from streams.rules.commands import (
    apply_command,
    happened_at,
    is_dated,
    is_new,
    is_restoring,
    is_void,
    ordered_by,
)
from streams.rules.everywhere import (
    EVERYWHERE,
    WISHES,
    blocks,
    come_back,
    reach_of,
    receiver_of,
    removes_everywhere,
    start_again,
)
from streams.rules.inbound import (
    MAX_INBOUND,
    apply_opt_out,
    apply_reassigned,
    apply_reply,
    cause_of,
    is_reassigned,
    is_repeated,
    read_reply,
)
from streams.rules.messages import register
from streams.rules.outcome import ContactChange, Event
from streams.rules.receipts import (
    MIN_COUNTED,
    REMOVALS,
    apply_receipt,
    count_message,
    message_events,
    registered_by,
    remove_for_message,
    reported_by,
    withdraw_message,
)
from streams.rules.states import message_name, rank

__all__ = [
    "EVERYWHERE",
    "MAX_CLICKS",
    "MAX_INBOUND",
    "MIN_COUNTED",
    "REMOVALS",
    "WISHES",
    "ContactChange",
    "Event",
    "apply_click",
    "apply_command",
    "apply_opt_out",
    "apply_reassigned",
    "apply_receipt",
    "apply_reply",
    "blocks",
    "cause_of",
    "come_back",
    "count_message",
    "happened_at",
    "is_dated",
    "is_new",
    "is_reassigned",
    "is_repeated",
    "is_restoring",
    "is_void",
    "message_events",
    "message_name",
    "ordered_by",
    "rank",
    "reach_of",
    "read_reply",
    "receiver_of",
    "register",
    "registered_by",
    "remove_for_message",
    "removes_everywhere",
    "reported_by",
    "start_again",
    "withdraw_message",
]
