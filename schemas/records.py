"""The typed records on Kafka: one frozen class per Avro schema in `schemas/avro/`.

The Avro files document the fields; a test compares them with these classes. Times are integers: milliseconds since
1970 UTC. Amounts of money are decimal strings. `from_` is `from` in Avro.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

REMOVAL_REASONS = (
    "message",
    "manual",
    "complaint",
    "bad_response",
    "invalid_contact",
    "deactivated",
    "reassigned",
)
"""Why a contact is removed: `reason` of ContactState, ContactCommand, UnsubscribeEvent, and RemovedEvent."""

COMMAND_PROVIDER = "trackly"
"""The provider in removal events that no provider reported: an operator ordered the removal."""

DATED_REASONS = frozenset({"deactivated", "reassigned"})
"""Reasons that end the consent of the number's holder on a date. Consent given later is not affected."""

REASSIGNED = "REASSIGNED"
"""`keyword` of an opt-out with which a provider reports that the number now belongs to somebody else."""

DROP = "drop"
"""`command` that deletes what is stored under an old spelling of a number, and nothing else."""

JOIN, FOLLOW, SETTLE, PASS_ON = "join", "follow", "settle", "pass_on"
"""`command` of what streams sends itself about a person with both a number and a channel ID: see `streams.people`."""

CONFIRM, RELEASE = "confirm", "release"
"""`command` of an operator's decision about the held removals of a list: carry them out, or let the contacts go."""

REASON_STRENGTH: Mapping[str, int] = {
    "bad_response": 0,
    "deactivated": 1,
    "reassigned": 2,
    "message": 3,
    "invalid_contact": 4,
    "manual": 4,
    "complaint": 5,
}
"""Only a stronger reason replaces another. START undoes `message` and the dated ones; an operator undoes any."""

NO_KEYWORD = "UNSUBSCRIBED"
"""`keyword` of an opt-out without a word from the contact: the provider flagged or reported it."""

OF_ANYONE, OF_PARTITION, OF_NOBODY = "all", "partition", "none"
"""`opt_outs` of a RecordsLost: whose opt-outs may be among the records."""

WISH_CLASSES = frozenset({"complaint", "invalid", "opt_out"})
"""Values of a Receipt's `status_class` that remove a contact immediately."""

DELIVERED = "delivered"
"""A DeliveryEvent's `status` for a message that arrived."""

FAILED_STATUSES = ("undeliverable", "expired", "rejected")
"""Values of a DeliveryEvent's `status` for a message that was not delivered."""


class RawCallback(Struct, frozen=True, gc=False):
    """One HTTP request from a provider, as received, before it is interpreted."""

    event_id: str
    provider: str
    account: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    content_type: str | None
    body: bytes
    remote_ip: str
    received_at: int


class Receipt(Struct, frozen=True, gc=False, kw_only=True):
    """One delivery receipt: what a provider reported about one message, normalized."""

    event_id: str
    account: str
    provider: str
    provider_message_id: str
    sender_reference: str | None = None
    to: str | None
    from_: str | None = None
    status: str
    status_detail: str
    status_class: str
    provider_status: str
    provider_code: str | None = None
    provider_text: str | None = None
    final: bool
    occurred_at: int | None = None
    received_at: int
    parts: int | None = None
    price: str | None = None
    currency: str | None = None
    network: str | None = None
    raw: str
    channel: str | None = None
    user_id: str | None = None


class InboundMessage(Struct, frozen=True, gc=False, kw_only=True):
    """A message from a recipient to a sender: a reply, an opt-out, or an opt-in, normalized."""

    event_id: str
    account: str
    provider: str
    provider_message_id: str | None = None
    in_reply_to: str | None = None
    from_: str
    to: str | None = None
    list_number: str | None = None
    text: str | None = None
    media: tuple[str, ...] = ()
    kind: str = "reply"
    keyword: str | None = None
    opt_out_scope: str | None = None
    occurred_at: int | None = None
    received_at: int
    raw: str
    answered_by_provider: bool | None = None
    channel: str | None = None
    user_id: str | None = None


class Link(Struct, frozen=True, gc=False):
    """A tracked link in a message."""

    click_id: str
    url: str


class MessageSent(Struct, frozen=True, gc=False, kw_only=True):
    """What a sender registers about a message that it handed to a provider."""

    message_id: str
    account: str
    provider: str
    provider_message_id: str
    list_number: str
    to: str
    part_count: int | None = None
    unique_args: Mapping[str, str] = field(default_factory=dict)
    callback_url: str | None = None
    links: tuple[Link, ...] = ()
    sent_at: int


class LinkClick(Struct, frozen=True, gc=False, kw_only=True):
    """A click on a link in a message, as reported by the provider or the sender."""

    event_id: str
    account: str
    provider: str
    provider_message_id: str | None = None
    click_id: str | None = None
    to: str
    url: str | None = None
    occurred_at: int | None = None
    received_at: int
    raw: str


class TrackedLink(Struct, frozen=True, gc=False, kw_only=True):
    """A link in a registered message, by its click ID: connects a conversion to its message and contact."""

    event_id: str
    account: str
    click_id: str
    message_id: str
    provider: str
    provider_message_id: str
    phone_number: str
    list_number: str
    url: str
    registered_at: int


class Postback(Struct, frozen=True, gc=False, kw_only=True):
    """A conversion that an affiliate network posted back, normalized."""

    event_id: str
    network: str
    account: str | None = None
    click_id: str
    type: str
    payout: str | None = None
    currency: str | None = None
    external_id: str | None = None
    goal: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    remote_ip: str | None = None
    received_at: int


class DeliveryEvent(Struct, frozen=True, gc=False, kw_only=True):
    """The status of a message changed."""

    event_id: str
    account: str
    message_id: str
    provider_message_id: str
    provider: str
    to: str | None
    list_number: str | None
    status: str
    status_detail: str
    status_class: str
    provider_code: str | None
    final: bool
    timestamp: int


class ReplyEvent(Struct, frozen=True, gc=False, kw_only=True):
    """A recipient replied, and it was not an opt-out."""

    event_id: str
    account: str
    provider: str
    phone_number: str
    list_number: str | None
    body: str
    timestamp: int
    answered_by_provider: bool | None = None
    confirm_until: int | None = None


class UnsubscribeEvent(Struct, frozen=True, gc=False, kw_only=True):
    """A contact opted out by a reply, a provider's flag, or a report. It must not be texted again."""

    event_id: str
    account: str
    provider: str
    phone_number: str
    list_number: str | None
    keyword: str | None
    reason: str
    timestamp: int
    answered_by_provider: bool | None = None
    confirm_until: int | None = None
    layer: str | None = None
    received_at: int | None = None


class RemovedEvent(Struct, frozen=True, gc=False, kw_only=True):
    """A contact was removed for a reason other than an opt-out. It must not be texted again."""

    event_id: str
    account: str
    provider: str
    phone_number: str
    list_number: str | None
    reason: str
    message_id: str | None
    timestamp: int
    received_at: int | None = None


class RestoredEvent(Struct, frozen=True, gc=False, kw_only=True):
    """A contact may be texted again."""

    event_id: str
    account: str
    provider: str
    phone_number: str
    list_number: str | None
    reason: str
    timestamp: int


class SentEvent(Struct, frozen=True, gc=False, kw_only=True):
    """A message was handed to the carrier."""

    event_id: str
    account: str
    message_id: str
    provider_message_id: str
    provider: str
    to: str | None
    list_number: str | None
    part_count: int | None
    timestamp: int


class ClickEvent(Struct, frozen=True, gc=False, kw_only=True):
    """A tracked link in a message was clicked."""

    event_id: str
    account: str
    message_id: str | None
    click_id: str | None
    provider: str
    phone_number: str
    list_number: str | None
    url: str | None
    timestamp: int


class ConversionEvent(Struct, frozen=True, gc=False, kw_only=True):
    """A click led to a conversion at an affiliate network."""

    event_id: str
    account: str
    message_id: str | None
    click_id: str
    phone_number: str | None
    list_number: str | None
    payout: str | None
    currency: str | None
    network: str
    type: str
    external_id: str | None
    timestamp: int


class MessageCallback(Struct, frozen=True, gc=False, kw_only=True):
    """What became of a message that was registered with its own callback URL."""

    event_id: str
    account: str
    url: str
    message_id: str
    unique_args: Mapping[str, str]
    event: str
    part_count: int | None = None
    reason_code: int | None = None
    reason_message: str | None = None
    to: str
    timestamp: int


class ContactState(Struct, frozen=True, gc=False, kw_only=True):
    """Whether one contact on one list may be texted. A contact without a record is active, unless the account-wide
    record of its number says otherwise."""

    contact: str
    account: str
    list_number: str
    phone_number: str
    active: bool
    failures: int
    reason: str | None
    since: int
    last_event_id: str
    version: int = 0
    scope: str = "list"
    except_lists: tuple[str, ...] = ()
    known_as: str | None = None
    held: bool = False


class ContactPlace(Struct, frozen=True, gc=False, kw_only=True):
    """Where a contact is, according to its account. Takes precedence over what the number says."""

    account: str
    phone_number: str
    time_zone: str | None = None
    state: str | None = None
    given_by: str | None = None
    given_at: int


class ContactAnswers(Struct, frozen=True, gc=False, kw_only=True):
    """The answer to a sender who asked whether contacts may be texted. Written before the answer is given, if the
    account keeps its answers."""

    event_id: str
    account: str
    list_number: str
    purpose: str
    asked_by: str
    answered_at: int
    body: str


class ContactCommand(Struct, frozen=True, gc=False, kw_only=True):
    """A command about one contact, from an operator or from streams itself (about a person with both a number and a
    channel ID); or an operator's decision about the held removals of a list."""

    event_id: str
    command: str
    account: str
    list_number: str
    phone_number: str
    issued_by: str | None = None
    issued_at: int
    reason: str | None = None
    happened_at: int | None = None
    other_name: str | None = None
    receivers: tuple[str, ...] = ()
    record: bytes | None = None


class CallbacksSeen(Struct, frozen=True, gc=False, kw_only=True):
    """Callbacks that one ingest process has seen from an account's provider or network since it started."""

    account: str
    provider: str
    instance: str
    taken: int
    refused: Mapping[str, int]
    last_taken_at: int | None = None
    last_refused_at: int | None = None
    last_refusal: str | None = None
    updated_at: int


class RejectedRecord(Struct, frozen=True, gc=False, kw_only=True):
    """A record, or an item of one, that could not be processed, with the reason."""

    event_id: str
    stage: str
    reason: str
    error: str
    account: str | None = None
    provider: str | None = None
    source_topic: str
    source_partition: int
    source_offset: int
    item_index: int | None = None
    item: str | None = None
    source_value: bytes | None = None
    rejected_at: int
    may_opt_out: bool = False


class ComparedItem(Struct, frozen=True, gc=False, kw_only=True):
    """An item of a past callback as today's rules read it, next to what was written for it then."""

    run: str
    event_id: str
    account: str | None = None
    provider: str | None = None
    verdict: str
    then: str
    now: str
    fields: tuple[str, ...]
    before: str | None = None
    after: str | None = None
    compared_at: int


class WebhookTask(Struct, frozen=True, gc=False):
    """One webhook for one endpoint that is due later or again. The attempt number and times are in the record's
    headers."""

    endpoint: str
    event_id: str
    event: str
    body: bytes
    url: str | None = None
    contact: str | None = None
    content_type: str | None = None
    list_number: str | None = None


class DeadWebhook(Struct, frozen=True, gc=False, kw_only=True):
    """A webhook that was given up after the last retry."""

    endpoint: str
    event_id: str
    event: str
    body: bytes
    attempts: int
    last_status: int | None
    error_class: str
    first_attempt_at: int
    died_at: int
    origin: str
    url: str | None = None
    contact: str | None = None
    content_type: str | None = None


class ReplayCommand(Struct, frozen=True, gc=False, kw_only=True):
    """A command to replay webhooks to one endpoint, with their original IDs. Written again with `stopped_at` to
    stop it."""

    replay_id: str
    endpoint: str
    outcome: str
    events: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    from_at: int
    to_at: int
    rate: float | None = None
    issued_by: str | None = None
    issued_at: int
    stopped_at: int | None = None


class ReplayProgress(Struct, frozen=True, gc=False, kw_only=True):
    """Progress of a replay. Written after what it reports is acknowledged."""

    replay_id: str
    state: str
    positions: Mapping[str, int]
    ends: Mapping[str, int]
    sent: int
    error: str | None = None
    updated_at: int


class WebhookAttempt(Struct, frozen=True, gc=False, kw_only=True):
    """One request to an endpoint, and how it ended."""

    endpoint: str
    event_id: str
    event: str
    attempt: int
    url: str
    status: int | None = None
    error_class: str | None = None
    latency_ms: int
    response_head: str = ""
    request_size: int
    at: int
    next_attempt_at: int | None = None
    final: bool
    asked: str | None = None


class EndpointAlert(Struct, frozen=True, gc=False, kw_only=True):
    """Something that the owner of an endpoint should know."""

    event_id: str
    account: str
    endpoint: str
    event: str
    reason: str
    error: str | None = None
    failures: int = 0
    since: int
    timestamp: int


class RemovalsHeld(Struct, frozen=True, gc=False, kw_only=True):
    """The brake of a list has engaged: rules would remove more contacts within an hour than it allows, and further
    removals are held."""

    event_id: str
    account: str
    list_number: str
    partition: int
    reason: str
    removed: int
    contacts: int
    timestamp: int


class AlertTold(Struct, frozen=True, gc=False, kw_only=True):
    """An alert that was sent to an account, or the reason why it was not sent."""

    event_id: str
    account: str
    type: str
    severity: str
    title: str
    text: str
    count: int
    outcome: str
    channels: Mapping[str, str]
    since: int
    at: int


class AccountConfig(Struct, frozen=True, gc=False, kw_only=True):
    """Settings of one account."""

    id: str
    name: str
    providers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    trusted_cidrs: tuple[str, ...] = ()
    postbacks: Mapping[str, str] = field(default_factory=dict)
    discord_webhook_url: str | None = None
    trusted_postback_cidrs: tuple[str, ...] = ()
    callback_rate_limit: float | None = None
    registers_messages: bool = False
    callback_secret: str | None = None
    allow_http: bool = False
    opt_out_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    opt_out_off: tuple[str, ...] = ()
    alerts_on: Mapping[str, bool] = field(default_factory=dict)
    alerts_minimum_severity: str = "low"
    alerts_muted_until: int | None = None
    slack_webhook_url: str | None = None
    alert_webhook_url: str | None = None
    alert_webhook_secret: str | None = None
    code_classes: Mapping[str, str] = field(default_factory=dict)
    opt_out_scope: str = "list"
    opt_out_scope_from: int | None = None
    sending_rules: tuple[str, ...] = ()
    sending_from: str | None = None
    sending_to: str | None = None
    sending_days: tuple[str, ...] = ()
    sending_zones: str = "number"
    sending_without_zone: str = "closed"
    sending_cap: int | None = None
    sending_rule_caps: bool = False
    brake_share: float | None = None
    brake_minimum: int | None = None
    keeps_answers: bool = False


class ListConfig(Struct, frozen=True, gc=False, kw_only=True):
    """Settings of one list of an account. The record's key is account/number."""

    account: str
    number: str
    retry_threshold: int = 3
    provider_list_ids: Mapping[str, str] = field(default_factory=dict)
    dlr_forward_url: str | None = None
    reply_forward_url: str | None = None
    numbers: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    brake_share: float | None = None
    brake_minimum: int | None = None


class EndpointConfig(Struct, frozen=True, gc=False, kw_only=True):
    """Settings of one webhook endpoint. The record's key is account/id."""

    account: str
    id: str
    url: str
    secret: str
    events: tuple[str, ...]
    lists: tuple[str, ...] = ()
    enabled: bool = True
    description: str = ""
    secret_next: str | None = None
    secret_next_at: int | None = None
    paused_reason: str | None = None
    paused_at: int | None = None
    retry_schedule: tuple[str, ...] = ()
    rate_limit: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    format: str = "json"
    batch_events: int = 1
    notify: tuple[str, ...] = ()
    list_rate_limits: Mapping[str, float] = field(default_factory=dict)


class EndpointPause(Struct, frozen=True, gc=False, kw_only=True):
    """A pause of an endpoint. It applies only to the settings that `settings_id` identifies; settings that are
    written later end it."""

    account: str
    endpoint: str
    settings_id: str
    reason: str
    paused_at: int


class ApiKey(Struct, frozen=True, gc=False, kw_only=True):
    """An API key. Only its digest is stored, never the key itself."""

    id: str
    account: str | None = None
    name: str
    prefix: str
    digest: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    role: str = "admin"
    created_by: str | None = None
    endpoint: str | None = None


class AuditEntry(Struct, frozen=True, gc=False, kw_only=True):
    """Something that a user or an API key did or tried to do."""

    event_id: str
    account: str
    actor: str
    action: str
    object: str
    details: str
    remote_ip: str
    request_id: str
    outcome: str
    at: int


class RecordsLost(Struct, frozen=True, gc=False, kw_only=True):
    """Records that retention deleted before a consumer group read them."""

    event_id: str
    reader: str
    topic: str
    partition: int
    partitions: int
    first: int
    count: int
    uncertain: bool
    opt_outs: str
    noticed_at: int


class LossSettled(Struct, frozen=True, gc=False, kw_only=True):
    """An operator has made up for a loss: the opt-outs that may have been among its records are imported."""

    loss: str
    account: str
    settled_by: str
    settled_at: int


class ApiRequest(Struct, frozen=True, gc=False, kw_only=True):
    """A request with an Idempotency-Key, written before anything that results from it. The first record of a key
    counts."""

    id: str
    claim: str
    digest: str
    accepted_at: int


Record = (
    RawCallback
    | Receipt
    | InboundMessage
    | MessageSent
    | LinkClick
    | TrackedLink
    | Postback
    | DeliveryEvent
    | ReplyEvent
    | UnsubscribeEvent
    | RemovedEvent
    | RestoredEvent
    | SentEvent
    | ClickEvent
    | ConversionEvent
    | MessageCallback
    | ContactState
    | ContactPlace
    | ContactAnswers
    | ContactCommand
    | CallbacksSeen
    | RejectedRecord
    | ComparedItem
    | WebhookTask
    | DeadWebhook
    | ReplayCommand
    | ReplayProgress
    | WebhookAttempt
    | EndpointAlert
    | RemovalsHeld
    | AlertTold
    | AccountConfig
    | ListConfig
    | EndpointConfig
    | EndpointPause
    | ApiKey
    | AuditEntry
    | RecordsLost
    | LossSettled
    | ApiRequest
)

RECORD_TYPES: dict[str, type[Record]] = {cls.__name__: cls for cls in Record.__args__}
"""Record class by Avro record name."""
