"""The rules of the clicks stage: the effects of a link or postback on a click's row, and the resulting conversions.

Pure functions. A link and its click's postbacks arrive in any order and repeatedly. The order only matters in two
cases: when a postback's waiting time ends, and when a second account registers the same click after a postback without
an account was settled for the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from msgspec.structs import replace

from accounts.addresses import is_within
from schemas.ids import derived_id
from schemas.records import AccountConfig, ConversionEvent, Postback, TrackedLink
from streams.click_row import Arrived, ClickRow, Registration, SeenConversion

MAX_REGISTRATIONS = 8
"""Accounts kept for one click id. Click ids belong to the senders: two accounts with the same one are a mistake."""

MAX_CONVERSIONS = 64
"""Conversions of a click that are remembered to detect repeats; the oldest are dropped."""

MAX_WAITING = 8
"""Postbacks of a click that may wait at once; further ones do not wait."""

Configs = Callable[[str], AccountConfig | None]
"""Returns an account's settings, or None."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose conversion it is. Without a registration it is an orphan, without message or contact."""

    account: str
    registration: Registration | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a postback is not a conversion."""

    reason: str
    error: str


REPEATED = Rejection("repeated", "the same conversion was already sent")
"""Not recorded as rejected: networks repeat themselves."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A postback that no longer waits, and its outcome."""

    arrived: Arrived
    result: ConversionEvent | Rejection


@dataclass(frozen=True, slots=True)
class ClickChange:
    """The row after a record, and the postbacks it settled, in order. Without effect, the row is unchanged and nothing
    settled."""

    row: ClickRow
    settled: tuple[Settled, ...] = ()


def apply_link(row: ClickRow, link: TrackedLink, now: int, configs: Configs, repeat_ms: int) -> ClickChange:
    """Apply a registered link: from now on it is known, and it settles the postbacks that waited for it.

    If an account registers a click id twice, the later message counts. Times are milliseconds.
    """
    new = Registration(link.account, link.message_id, link.phone_number, link.list_number, link.registered_at)
    known = row.registration(link.account)
    if known is not None and (known.registered_at, known.message_id) >= (new.registered_at, new.message_id):
        return ClickChange(row)
    others = sorted((each for each in row.registrations if each is not known), key=lambda each: each.registered_at)
    registrations = (*others[-(MAX_REGISTRATIONS - 1) :], new)
    return settle(replace(row, registrations=registrations), now, configs, repeat_ms)


def apply_postback(row: ClickRow, arrived: Arrived, now: int, configs: Configs, repeat_ms: int) -> ClickChange:
    """Apply a postback: settle it, or let it wait for its click.

    `repeat_ms` is the window for conversions without a network id: the same type and amount within it is a repeat.
    """
    if any(each.postback.event_id == arrived.postback.event_id for each in row.waiting):
        return ClickChange(row)
    if len(row.waiting) >= MAX_WAITING:
        arrived = replace(arrived, due_at=now)
    outcome = settle(replace(row, waiting=(*row.waiting, arrived)), now, configs, repeat_ms)
    return ClickChange(row, outcome.settled) if outcome.row == row else outcome


def settle(row: ClickRow, now: int, configs: Configs, repeat_ms: int) -> ClickChange:
    """Settle every postback of the row that can be settled at this time; the others go on waiting."""
    waiting: list[Arrived] = []
    settled: list[Settled] = []
    conversions = row.conversions
    for arrived in row.waiting:
        verdict = _owner(row, arrived.postback, now >= arrived.due_at, configs)
        if verdict is None:
            waiting.append(arrived)
            continue
        if isinstance(verdict, Rejection):
            settled.append(Settled(arrived, verdict))
            continue
        seen = SeenConversion(_conversion_key(verdict.account, arrived.postback), arrived.postback.received_at)
        if _is_repeated(arrived.postback, seen, conversions, repeat_ms):
            settled.append(Settled(arrived, REPEATED))
        else:
            conversions = (*conversions, seen)[-MAX_CONVERSIONS:]
            settled.append(Settled(arrived, _event(arrived.postback, verdict)))
    return ClickChange(replace(row, conversions=conversions, waiting=tuple(waiting)), tuple(settled))


def _owner(row: ClickRow, postback: Postback, is_due: bool, configs: Configs) -> Owner | Rejection | None:
    """Return whose conversion it is, or why nobody's; None while that may still become known.

    If the postback names an account, ingest has checked that account's proof. If only the click identifies it, nobody
    has.
    """
    if postback.account is not None:
        registration = row.registration(postback.account)
        return Owner(postback.account, registration) if registration is not None or is_due else None
    if len(row.registrations) > 1:
        return Rejection("ambiguous_account", "several accounts registered this click: name the account in the URL")
    if not row.registrations:
        return (
            Rejection("unknown_click", "nobody registered this click, and the URL names no account") if is_due else None
        )
    (registration,) = row.registrations
    distrust = _distrust(postback, configs(registration.account))
    return Owner(registration.account, registration) if distrust is None else Rejection("not_authentic", distrust)


def _distrust(postback: Postback, config: AccountConfig | None) -> str | None:
    """Return what an account requires that a postback without an account cannot prove."""
    if config is None:
        return None
    if config.postbacks:
        return f"account {config.id} requires a token for postbacks, and this one has none"
    if config.trusted_postback_cidrs and not is_within(postback.remote_ip, config.trusted_postback_cidrs):
        return f"account {config.id} trusts certain addresses only, and this postback came from another one"
    return None


def _conversion_key(account: str, postback: Postback) -> str:
    """Return the network's own id within its type and goal; without one, the conversion's type and amount."""
    what = [account, postback.network, postback.type, postback.goal or ""]
    if postback.external_id is not None:
        return derived_id("id", *what, postback.external_id)
    return derived_id("amount", *what, _amount(postback.payout), postback.currency or "")


def _amount(payout: str | None) -> str:
    """Return an amount in normal form: 2.5 is 2.50."""
    try:
        return "" if payout is None else str(Decimal(payout).normalize())
    except ArithmeticError:
        return str(payout)


def _is_repeated(
    postback: Postback, new: SeenConversion, conversions: tuple[SeenConversion, ...], repeat_ms: int
) -> bool:
    return any(
        seen.key == new.key
        and (postback.external_id is not None or abs(seen.received_at - new.received_at) <= repeat_ms)
        for seen in conversions
    )


def _event(postback: Postback, owner: Owner) -> ConversionEvent:
    click = owner.registration
    return ConversionEvent(
        event_id=derived_id(postback.event_id, "conversion"),
        account=owner.account,
        message_id=None if click is None else click.message_id,
        click_id=postback.click_id,
        phone_number=None if click is None else click.phone_number,
        list_number=None if click is None else click.list_number,
        payout=postback.payout,
        currency=postback.currency,
        network=postback.network,
        type=postback.type,
        external_id=postback.external_id,
        timestamp=postback.received_at,
    )
