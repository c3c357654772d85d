"""Messages and their reports, whichever comes first.

A report of an account that registers its messages may come before its message. The contact's row is changed at once:
who complained must not be texted again, whatever the message is called. What is told about the message (`sent`,
`delivery`, callbacks) waits in the message's row, so that it bears the sender's own id; after a while it goes out
under the provider's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from accounts.lists import threshold_of
from accounts.store import Accounts
from schemas.records import MessageSent, Receipt
from streams.message_row import MAX_WAITING, MessageRow, Waiting, to_wait
from streams.recipient import Recipient
from streams.row import ContactRow, MessageState
from streams.rules import adopt_state, apply_receipt, message_name, register, withdraw_state


class Registrations:
    """Lets reports wait and messages meet them.

    `wait`: seconds that a report waits; 0: none does. `now` gives ms by our own clock. `on_orphaned` is told how many
    reports went out without their message.
    """

    def __init__(
        self, accounts: Accounts, *, wait: float, now: Callable[[], int], on_orphaned: Callable[[int], None]
    ) -> None:
        self._accounts = accounts
        self._wait = wait
        self._now = now
        self._on_orphaned = on_orphaned

    def must_wait(self, account: str, known: MessageRow | None) -> bool:
        """Whether a report waits whose message is not registered. It does not overtake one that waits already."""
        if known is not None:
            return bool(known.waiting)
        config = self._accounts.accounts.get(account)
        return config is not None and config.registers_messages and self._wait > 0

    def let_wait(
        self, recipient: Recipient, receipt: Receipt, list_number: str | None, known: MessageRow | None
    ) -> None:
        """Count a report for the contact that it names, and keep what it says of its message."""
        if list_number is not None:
            threshold = threshold_of(self._accounts.lists_of(receipt.account), list_number)
            recipient.send(recipient.count(receipt, None, list_number, threshold).of_contact)
        waiting = known.waiting if known is not None else ()
        if any(_says_the_same(receipt, other.receipt) for other in waiting):
            return
        since = self._now() if known is None else known.since
        kept = MessageRow(since=since, waiting=(*waiting, to_wait(list_number, receipt)))
        if len(kept.waiting) > MAX_WAITING:
            self.release(recipient, kept)
        else:
            recipient.put_message(receipt.provider, receipt.provider_message_id, kept)

    def register(self, recipient: Recipient, message: MessageSent) -> None:
        """Take a registration in, and tell what has waited for it."""
        known = recipient.message(message.provider, message.provider_message_id)
        waiting = known.waiting if known is not None else ()
        found = None if waiting else self._counted(recipient, message, known)
        after, events = register(known, message, found[1] if found else None, self._now())
        if after is known:
            return
        recipient.send(events)
        if found is not None:
            self._move(recipient, message, *found)
        self._tell(recipient, waiting, message)
        recipient.put_message(message.provider, message.provider_message_id, after)

    def release(self, recipient: Recipient, known: MessageRow) -> None:
        """Tell what has waited long enough, under the provider's id."""
        receipt = known.waiting[0].receipt
        sent = self._tell(recipient, known.waiting, None)
        recipient.put_message(receipt.provider, receipt.provider_message_id, MessageRow(since=self._now(), sent=sent))
        self._on_orphaned(len(known.waiting))

    def _counted(
        self, recipient: Recipient, message: MessageSent, known: MessageRow | None
    ) -> tuple[str | None, MessageState] | None:
        """State of a message whose reports did not wait for it, and the list (or none) for which it is counted.

        It is looked for where the last registration had it, with those that belong to no list, and where it belongs.
        """
        if known is None and self.must_wait(message.account, None):
            return None
        before = known.message.list_number if known is not None and known.message is not None else None
        name = message_name(message.provider, message.provider_message_id)
        for list_number in dict.fromkeys((before, None, message.list_number)):
            contact = recipient.contact(list_number)
            state = contact.message(name) if contact is not None else None
            if state is not None:
                return list_number, state
        return None

    def _move(self, recipient: Recipient, message: MessageSent, list_number: str | None, state: MessageState) -> None:
        """Count a message for the list that it is registered for."""
        if list_number == message.list_number:
            return
        threshold = threshold_of(self._accounts.lists_of(message.account), message.list_number)
        leave = partial(withdraw_state, state_key=state.key, message=message, list_number=list_number)
        enter = partial(adopt_state, state=state, message=message, threshold=threshold, now=self._now())
        # In this order: a crash in between finds the state where it was, and moves it again.
        recipient.send(recipient.update(message.list_number, enter).events)
        recipient.send(recipient.update(list_number, leave).events)

    def _tell(self, recipient: Recipient, waiting: Iterable[Waiting], message: MessageSent | None) -> bool:
        """Send the events of reports that have waited; returns whether `sent` was among them.

        They are counted already for the list that they name. Where the message is of another, they are counted there.
        """
        told: ContactRow | None = None
        sent = False
        for named, receipt in waiting:
            list_number = message.list_number if message is not None else named
            threshold = threshold_of(self._accounts.lists_of(receipt.account), list_number)
            outcome = apply_receipt(told, receipt, message, list_number, threshold)
            told = outcome.row
            sent = sent or outcome.tells_sent
            recipient.send(outcome.of_message)
            if named is not None and named != list_number and message is not None:
                name = message_name(receipt.provider, receipt.provider_message_id)
                leave = partial(withdraw_state, state_key=name, message=message, list_number=named)
                recipient.send(recipient.update(named, leave).events)
            if named is None or named != list_number:
                recipient.send(recipient.count(receipt, message, list_number, threshold).of_contact)
        return sent


def _says_the_same(report: Receipt, other: Receipt) -> bool:
    return (report.status, report.status_detail, report.occurred_at) == (
        other.status,
        other.status_detail,
        other.occurred_at,
    )
