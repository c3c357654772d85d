"""The rules of the contacts stage: what one record makes of one contact's row, and which events it gives.

Pure functions. Records arrive in any order and more than once: every rule compares the times in the records,
never the order of arrival, so that the same records end in the same message states.
"""

from streams.rules.clicks import MAX_CLICKS, apply_click
from streams.rules.commands import apply_command
from streams.rules.inbound import MAX_INBOUND, apply_inbound
from streams.rules.messages import register
from streams.rules.outcome import Event, Outcome
from streams.rules.receipts import MIN_RECENT, REMOVALS, adopt_state, apply_receipt, withdraw_state
from streams.rules.states import message_name, rank

__all__ = [
    "MAX_CLICKS",
    "MAX_INBOUND",
    "MIN_RECENT",
    "REMOVALS",
    "Event",
    "Outcome",
    "adopt_state",
    "apply_click",
    "apply_command",
    "apply_inbound",
    "apply_receipt",
    "message_name",
    "rank",
    "register",
    "withdraw_state",
]
