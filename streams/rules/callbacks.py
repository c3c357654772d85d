"""Transactional callbacks to the URL that a message was registered with.

The reasons of `undelivered` are data: `streams/reasons.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

from schemas.ids import callback_event_id
from schemas.records import MessageCallback, MessageSent
from streams.message_row import Report
from streams.rules.states import FINAL


class Reason(NamedTuple):
    """Why a message was not delivered: the documented code and its text."""

    code: int
    message: str


_TABLE = tomllib.loads(files("streams").joinpath("reasons.toml").read_text("utf-8"))["reason"]


def _reasons(key: str) -> Mapping[str, Reason]:
    return {name: Reason(row["code"], row["message"]) for row in _TABLE for name in row.get(key, ())}


_BY_DETAIL = _reasons("details")
_BY_CLASS = _reasons("classes")


def reason_of(detail: str, status_class: str) -> Reason:
    """Return a failure's reason by its `status_detail`, or else by its `status_class`."""
    return _BY_DETAIL.get(detail) or _BY_CLASS.get(status_class) or _BY_CLASS["neutral"]


def sent_callback(message: MessageSent, event_id: str) -> MessageCallback | None:
    """Return the `sent` callback, or None if the message has no URL. `event_id` is that of the `sent` event."""
    return _callback(message, "sent", event_id, message.sent_at, None)


def state_callback(message: MessageSent, old: Report | None, new: Report, source_id: str) -> MessageCallback | None:
    """Return a `delivered` or `undelivered` callback if a message's new state changes that outcome.

    `source_id` is the event id of the cause.
    """
    told, outcome = _outcome(old), _outcome(new)
    if outcome is None or outcome == told:
        return None
    event, reason = outcome
    return _callback(message, event, source_id, new.at, reason)


def _outcome(state: Report | None) -> tuple[str, Reason | None] | None:
    """Return a state's outcome for the sender: None while it is open."""
    if state is None or state.status == "pending":
        return None
    if state.status == "delivered":
        return "delivered", None
    return ("undelivered", reason_of(state.detail, state.status_class)) if state.rank == FINAL else None


def _callback(
    message: MessageSent, event: str, source_id: str, at: int, reason: Reason | None
) -> MessageCallback | None:
    if message.callback_url is None:
        return None
    return MessageCallback(
        event_id=callback_event_id(source_id, event),
        account=message.account,
        url=message.callback_url,
        message_id=message.message_id,
        unique_args=message.unique_args,
        event=event,
        part_count=message.part_count if event == "sent" else None,
        reason_code=reason.code if reason else None,
        reason_message=reason.message if reason else None,
        to=message.to,
        timestamp=at,
    )
