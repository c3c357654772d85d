"""Messages and their reports, whichever arrives first.

In accounts that register messages, a report may arrive before its message. It changes the contact's row at once: a
person who complained must not be texted again, whatever the message is called. Events about the message (`sent`,
`delivery`, callbacks) wait in the message's row, so that they can carry the sender's own id; after a while they are
sent under the provider's.

An opt-out that answers a message acts at once, too. Once the message is registered, it is applied again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from accounts.brakes import brake_of
from accounts.lists import Belonging, threshold_of
from accounts.model import Accounts
from schemas.records import InboundMessage, MessageSent, Receipt
from streams.brakes import Brakes, Judging
from streams.message_row import MAX_OPT_OUTS, MAX_WAITING, MessageRow, Removal, Waiting, to_keep, to_wait
from streams.recipient import Recipient
from streams.rules import (
    apply_receipt,
    message_events,
    message_name,
    register,
    registered_by,
    removes_everywhere,
    reported_by,
)
from streams.rules.receipts import MessageChange


class Registrations:
    """Lets reports wait for their messages, and matches them.

    `wait`: seconds that a report waits; 0: it does not. `now` returns ms of our own clock. `on_orphaned` gets the
    number of reports sent without their message.
    """

    def __init__(
        self,
        accounts: Accounts,
        brakes: Brakes,
        *,
        wait: float,
        now: Callable[[], int],
        on_orphaned: Callable[[int], None],
    ) -> None:
        self._accounts = accounts
        self._brakes = brakes
        self._wait = wait
        self._now = now
        self._on_orphaned = on_orphaned

    def must_wait(self, account: str, known: MessageRow | None) -> bool:
        """Whether a report must wait for its unregistered message. It never overtakes one that is already waiting."""
        if known is not None and (known.waiting or not known.opt_outs):
            return bool(known.waiting)
        config = self._accounts.accounts.get(account)
        return config is not None and config.registers_messages and self._wait > 0

    def let_wait(self, recipient: Recipient, receipt: Receipt, belongs: Belonging, known: MessageRow) -> None:
        """Count a report for its contact, and keep what it says about the message."""
        reported = apply_receipt(known, receipt)
        name = message_name(receipt.provider, receipt.provider_message_id)
        cause = reported_by(receipt, None, message_events(known, reported, receipt, belongs.name))
        counted = self.count(recipient, MessageChange(name, known, reported, cause), belongs)
        waiting = known.waiting
        if not any(_says_the_same(receipt, other.receipt) for other in waiting):
            waiting = (*waiting, to_wait(belongs.name, receipt))
        elif counted is known:
            return
        # No events about the message are sent yet.
        kept = replace(counted, waiting=waiting, sent=False)
        if len(waiting) > MAX_WAITING:
            self.release(recipient, kept)
        else:
            recipient.put_message(receipt.provider, receipt.provider_message_id, kept)

    def keep(self, recipient: Recipient, inbound: InboundMessage, keyword: str | None) -> None:
        """Keep an opt-out for the message that it answers, if that is not registered: it may belong to another list
        than the one that the opt-out was sent to."""
        if inbound.in_reply_to is None or recipient.is_erased:
            return
        known = recipient.message(inbound.provider, inbound.in_reply_to) or MessageRow(since=self._now())
        opt_out = to_keep(inbound, keyword)
        if known.message is None and opt_out not in known.opt_outs:
            after = replace(known, opt_outs=(*known.opt_outs, opt_out)[-MAX_OPT_OUTS:])
            recipient.put_message(inbound.provider, inbound.in_reply_to, after)

    def register(self, recipient: Recipient, message: MessageSent) -> tuple[InboundMessage, ...]:
        """Accept a registration, and send the events that waited for it. Returns the opt-outs that answered the message
        before."""
        before = recipient.message(message.provider, message.provider_message_id) or MessageRow(since=self._now())
        after, events = register(before, message, self._now())
        if after is before:
            return ()
        recipient.send(events)
        self._tell(recipient, before.waiting, message)
        list_number = self._accounts.known_lists(message.account).at(message.list_number)
        if after.state is not None and list_number is not None and after.list_number != list_number:
            name = message_name(message.provider, message.provider_message_id)
            change = MessageChange(name, after, after, registered_by(message, after.state))
            after = self.count(recipient, change, Belonging(list_number, list_number, True))
        recipient.put_message(message.provider, message.provider_message_id, after)
        return before.opt_outs

    def release(self, recipient: Recipient, known: MessageRow) -> None:
        """Send what has waited long enough under the provider's id."""
        receipt = known.waiting[0].receipt
        sent = self._tell(recipient, known.waiting, None)
        after = replace(known, since=self._now(), waiting=(), sent=sent)
        recipient.put_message(receipt.provider, receipt.provider_message_id, after)
        self._on_orphaned(len(known.waiting))

    def _tell(self, recipient: Recipient, waiting: Iterable[Waiting], message: MessageSent | None) -> bool:
        """Send the events of reports that waited; returns whether `sent` is among them. They are already counted."""
        told = MessageRow(since=0, message=message, sent=message is not None)
        for named, receipt in waiting:
            before, told = told, apply_receipt(told, receipt)
            list_number = named if message is None else message.list_number
            recipient.send(message_events(before, told, receipt, list_number))
        return told.sent

    def count(self, recipient: Recipient, change: MessageChange, belongs: Belonging) -> MessageRow:
        """Count a changed message for its contact. Returns its row with the list."""
        name = change.cause.account
        account, lists = self._accounts.accounts.get(name), self._accounts.lists_of(name)
        threshold = threshold_of(lists, belongs.list_number)

        def judge_of(list_number: str | None) -> Judging:
            setting = brake_of(account, lists.get(list_number or ""))
            return recipient.judge(self._brakes, list_number, setting)

        def is_everywhere(removal: Removal) -> bool:
            return removes_everywhere(account, belongs.is_certain, *removal)

        counted = [
            each.count(change, belongs.list_number, threshold, is_everywhere, judge_of) for each in recipient.reached
        ]
        return counted[0]


def _says_the_same(report: Receipt, other: Receipt) -> bool:
    return (report.status, report.status_detail, report.occurred_at) == (
        other.status,
        other.status_detail,
        other.occurred_at,
    )
