"""The database's tables, the same on SQLite and PostgreSQL.

Times are milliseconds since 1970 UTC. The tables in `READ_MODEL` are copied from Kafka and can be rebuilt; those in
`SIGN_IN` exist nowhere else.

Every table that people browse begins its indexes with `account`: nobody browses two accounts at once, and a page is one
range of one index. Rows with equal times are ordered by `id`, which grows with the order of arrival. Indexes by which
the read model finds single rows begin with the most selective column.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeEngine

METADATA = MetaData()

# SQLite assigns row numbers only if the key is an INTEGER.
_Id: TypeEngine[int] = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Column[int]:
    return Column("id", _Id, primary_key=True, autoincrement=True)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _later_number(name: str) -> Column[int]:
    """A number column that older rows lack; it is 0 there."""
    return Column(name, BigInteger, nullable=False, server_default="0")


def _later_flag(name: str) -> Column[bool]:
    """A boolean column that older rows lack; it is false there."""
    return Column(name, Boolean, nullable=False, server_default=false())


def _pages(table: str, time: str, *filters: str) -> Iterable[Index]:
    """Indexes for a list that is read newest first: for the whole list, and for each of these columns."""
    yield Index(f"{table}_by_time", "account", time, "id")
    for column in filters:
        yield Index(f"{table}_by_{column}", "account", column, time, "id")


positions = Table(
    "positions",
    METADATA,
    _text("topic"),
    _number("partition"),
    _text("topic_id"),
    _number("next_offset"),
    PrimaryKeyConstraint("topic", "partition"),
    comment="Up to where each topic is in the other tables, written in the same transaction as they are.",
)

freshness = Table(
    "freshness",
    METADATA,
    Column("id", _Id, primary_key=True, autoincrement=False),
    _number("caught_up_at", nullable=True),
    _number("lag"),
    _number("told_at"),
    # Records that retention deleted before they were read.
    _later_number("lost"),
    comment="One row. What Kafka acknowledged before `caught_up_at` is in the other tables; `lag` records are not.",
)

messages = Table(
    "messages",
    METADATA,
    _id(),
    _text("account"),
    _text("provider"),
    _text("provider_message_id"),
    _text("message_id"),
    _text("number", nullable=True),
    _text("list_number", nullable=True),
    _text("status"),
    _text("status_detail"),
    _text("status_class"),
    _text("provider_code", nullable=True),
    Column("final", Boolean, nullable=False),
    _number("part_count", nullable=True),
    _number("registered_at", nullable=True),
    _number("updated_at"),
    _text("tags", nullable=True),
    # When it came to its outcome, by which it is counted in `hourly_messages`; null in rows of older versions.
    _number("outcome_at", nullable=True),
    UniqueConstraint("provider_message_id", "account", "provider", name="messages_identity"),
    Index("messages_by_message_id", "account", "message_id"),
    *_pages("messages", "updated_at", "status", "status_detail", "provider", "list_number", "number"),
    comment="The newest state of each message. `status` is `queued` until the first report.",
)

message_tags = Table(
    "message_tags",
    METADATA,
    _number("message"),
    _text("account"),
    _text("name"),
    _text("value"),
    _number("updated_at"),
    PrimaryKeyConstraint("message", "name"),
    Index("message_tags_by_value", "account", "name", "value", "updated_at", "message"),
    comment="Arguments by which messages are found. `message` is its id in `messages`, whose `tags` has all of them as"
    " JSON; `updated_at` is the message's own, so that a page of a tag's messages is one range of one index.",
)

events = Table(
    "events",
    METADATA,
    _id(),
    _text("event_id"),
    _text("account"),
    _text("event"),
    _text("message_id", nullable=True),
    _text("provider_message_id", nullable=True),
    _text("number", nullable=True),
    _text("list_number", nullable=True),
    _text("body"),
    _text("place"),
    _number("at"),
    UniqueConstraint("event_id", name="events_identity"),
    Index("events_of_message", "account", "message_id"),
    Index("events_of_number", "account", "number", "at", "id"),
    *_pages("events", "at", "event"),
    comment="Every public event. `body` is the webhook's JSON, `place` its topic/partition/offset.",
)

FAILED = "status NOT IN ('pending', 'delivered')"
"""Failed receipts. A constant, because a partial index requires the same expression."""

receipts = Table(
    "receipts",
    METADATA,
    _id(),
    _text("event_id"),
    _text("account"),
    _text("provider"),
    _text("provider_message_id"),
    _text("number", nullable=True),
    _text("status"),
    _text("status_detail"),
    _text("status_class"),
    _text("provider_status"),
    _text("provider_code", nullable=True),
    _text("provider_text", nullable=True),
    _number("occurred_at", nullable=True),
    _number("received_at"),
    _text("source", nullable=True),
    UniqueConstraint("event_id", name="receipts_identity"),
    Index("receipts_of_message", "account", "provider", "provider_message_id"),
    Index("receipts_by_time", "received_at"),
    Index("receipts_of_failures", "account", "received_at", sqlite_where=text(FAILED), postgresql_where=text(FAILED)),
    comment="Every delivery receipt, those too that changed nothing. `source`: place of the raw callback.",
)

replies = Table(
    "replies",
    METADATA,
    _id(),
    _text("event_id"),
    _text("account"),
    _text("provider"),
    _text("number"),
    _text("to_number", nullable=True),
    _text("list_number", nullable=True),
    _text("text", nullable=True),
    _text("kind"),
    _text("keyword", nullable=True),
    _number("received_at"),
    _text("source", nullable=True),
    UniqueConstraint("event_id", name="replies_identity"),
    *_pages("replies", "received_at", "kind", "number", "list_number"),
    comment="Every reply, opt-out and opt-in as it was received. `source`: place of the raw callback.",
)

contacts = Table(
    "contacts",
    METADATA,
    _id(),
    _text("contact"),
    _text("account"),
    _text("list_number"),
    _text("number"),
    Column("active", Boolean, nullable=False),
    _number("failures"),
    _text("reason", nullable=True),
    _number("since"),
    _text("last_event_id"),
    _later_number("version"),
    Column("held", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("contact", name="contacts_identity"),
    Index("contacts_of_number", "account", "number"),
    *_pages("contacts", "since", "active", "reason", "list_number", "held"),
    comment="State of each contact. One that is not here is active.",
)

contact_changes = Table(
    "contact_changes",
    METADATA,
    _id(),
    _text("account"),
    _text("list_number", nullable=True),
    _text("number"),
    _text("change"),
    _text("reason", nullable=True),
    _text("keyword", nullable=True),
    _text("issued_by", nullable=True),
    _text("event_id"),
    _number("at"),
    UniqueConstraint("event_id", "change", name="contact_changes_identity"),
    Index("contact_changes_of_number", "account", "number", "at", "id"),
    Index("contact_changes_by_time", "at"),
    comment="`removed` and `restored` as they happened, `remove` and `restore` as somebody ordered.",
)

attempts = Table(
    "attempts",
    METADATA,
    _id(),
    _text("account"),
    _text("endpoint"),
    _text("event_id"),
    _text("event"),
    _number("attempt"),
    _text("url"),
    _text("outcome"),
    _number("status", nullable=True),
    _text("error_class", nullable=True),
    _number("latency_ms"),
    _text("response_head"),
    _number("request_size"),
    _number("next_attempt_at", nullable=True),
    Column("final", Boolean, nullable=False),
    _text("asked", nullable=True),
    _number("at"),
    Index("attempts_of_event", "event_id", "account"),
    *_pages("attempts", "at", "outcome"),
    Index("attempts_of_endpoint", "account", "endpoint", "at", "id"),
    Index("attempts_of_endpoint_by_outcome", "account", "endpoint", "outcome", "at", "id"),
    comment="Every attempt to deliver a webhook. `endpoint` without its account; `outcome`: `2xx` … or the error.",
)

dead_webhooks = Table(
    "dead_webhooks",
    METADATA,
    _id(),
    _text("account"),
    _text("endpoint"),
    _text("event_id"),
    _text("event"),
    Column("body", LargeBinary, nullable=False),
    _number("attempts"),
    _number("last_status", nullable=True),
    _text("error_class"),
    _number("first_attempt_at"),
    _number("died_at"),
    _text("origin"),
    _text("place"),
    _number("delivered_at", nullable=True),
    _text("number", nullable=True),
    UniqueConstraint("place", "event_id", name="dead_webhooks_identity"),
    Index("dead_webhooks_of_number", "account", "number"),
    Index("dead_webhooks_of_event", "event_id", "account"),
    *_pages("dead_webhooks", "died_at", "endpoint", "error_class"),
    comment="Webhooks that were given up; `delivered_at` once a replay was answered 2xx.",
)

rejected = Table(
    "rejected",
    METADATA,
    _id(),
    _text("event_id"),
    _text("account"),
    _text("provider", nullable=True),
    _text("stage"),
    _text("reason"),
    _text("error"),
    _text("source"),
    _number("item_index", nullable=True),
    _text("item", nullable=True),
    _text("place"),
    _number("rejected_at"),
    _later_flag("may_opt_out"),
    UniqueConstraint("event_id", name="rejected_identity"),
    *_pages("rejected", "rejected_at", "reason", "provider", "may_opt_out"),
    comment="What could not be processed. `account` is empty where none is known; then only admins of all see it.",
)

evidence = Table(
    "evidence",
    METADATA,
    _id(),
    _text("account"),
    _text("number", nullable=True),
    _text("kind"),
    _text("event_id"),
    _text("list_number", nullable=True),
    _number("at"),
    _number("recorded_at"),
    _number("effect_ms", nullable=True),
    _text("place"),
    _text("sha256"),
    _text("source", nullable=True),
    _text("source_sha256", nullable=True),
    _text("body"),
    UniqueConstraint("place", "sha256", name="evidence_identity"),
    Index("evidence_of_number", "number", "account", "recorded_at", "id"),
    Index("evidence_of_event", "event_id", "account"),
    Index("evidence_by_time", "recorded_at"),
    Index("evidence_effects", "account", "recorded_at", "effect_ms"),
    comment="Every record that bears on a person's consent, as it lay on Kafka: `place` its topic/partition/offset,"
    " `sha256` the hash of its value, `body` its fields. `effect_ms`: from the receipt of its cause to this record.",
)

answers = Table(
    "answers",
    METADATA,
    _id(),
    _text("account"),
    _text("number"),
    _text("list_number"),
    _text("purpose"),
    _text("asked_by"),
    _text("event_id"),
    _number("at"),
    _number("recorded_at"),
    _text("as_of"),
    _text("place"),
    _text("sha256"),
    _text("body"),
    UniqueConstraint("number", "account", "recorded_at", "place", name="answers_of_number"),
    Index("answers_by_time", "recorded_at"),
    comment="What senders were told who asked whether a number may be texted, of accounts that keep it: `body` is the"
    " answer about this number as it was given, `place` topic/partition/offset of the whole, `sha256` its hash.",
)

hourly_events = Table(
    "hourly_events",
    METADATA,
    _text("account"),
    _number("hour"),
    _text("event"),
    _text("provider"),
    _text("list_number"),
    _text("status"),
    _text("detail"),
    _number("count"),
    PrimaryKeyConstraint("account", "hour", "event", "provider", "list_number", "status", "detail"),
    comment="Events by the hour they happened in. `detail`: status_detail, reason or keyword; empty where none is.",
)

hourly_messages = Table(
    "hourly_messages",
    METADATA,
    _text("account"),
    _number("hour"),
    _text("provider"),
    _text("list_number"),
    _text("status"),
    _text("detail"),
    _number("count"),
    PrimaryKeyConstraint("account", "hour", "provider", "list_number", "status", "detail"),
    comment="Messages by their newest status and the hour in which they came to it, each once. `detail`: status_detail"
    " of those that failed.",
)

minutely_events = Table(
    "minutely_events",
    METADATA,
    _text("account"),
    _number("minute"),
    _number("count"),
    PrimaryKeyConstraint("account", "minute"),
    comment="Events by the minute they happened in, for the last days.",
)

hourly_attempts = Table(
    "hourly_attempts",
    METADATA,
    _text("account"),
    _number("hour"),
    _text("endpoint"),
    _text("outcome"),
    _number("count"),
    _number("latency_ms_sum"),
    PrimaryKeyConstraint("account", "hour", "endpoint", "outcome"),
    comment="Attempts to deliver webhooks by the hour.",
)

hourly_latencies = Table(
    "hourly_latencies",
    METADATA,
    _text("account"),
    _number("hour"),
    _text("endpoint"),
    _number("at_most_ms"),
    _number("count"),
    PrimaryKeyConstraint("account", "hour", "endpoint", "at_most_ms"),
    comment="Attempts that were answered or timed out, by the hour and the class of their latency.",
)

receivers = Table(
    "receivers",
    METADATA,
    _text("account"),
    _number("day"),
    _text("provider"),
    _text("kind"),
    _text("channel"),
    _text("receiver"),
    _number("replies"),
    _number("reports"),
    _number("last_at"),
    PrimaryKeyConstraint("account", "day", "provider", "kind", "channel", "receiver"),
    comment="What replies went to and reports came from, by the day. `kind`: address, or list_id, which is the"
    " provider's name of a list; `channel`: empty where none is named.",
)

alerts = Table(
    "alerts",
    METADATA,
    _id(),
    _text("event_id"),
    _text("account"),
    _text("type"),
    _text("severity"),
    _text("title"),
    _text("text"),
    _number("count"),
    _text("outcome"),
    _number("at"),
    UniqueConstraint("event_id", name="alerts_identity"),
    *_pages("alerts", "at", "type"),
    comment="Alerts as they were told, or why they were not.",
)

audit = Table(
    "audit",
    METADATA,
    _id(),
    _text("event_id"),
    _text("account"),
    _text("actor"),
    _text("action"),
    _text("object"),
    _text("details"),
    _text("remote_ip"),
    _text("outcome"),
    _number("at"),
    UniqueConstraint("event_id", name="audit_identity"),
    *_pages("audit", "at", "actor", "action"),
    comment="Who changed what. `account` is empty for what is no account's; `details` is JSON without secrets.",
)

callbacks_seen = Table(
    "callbacks_seen",
    METADATA,
    _text("account"),
    _text("provider"),
    _text("instance"),
    _number("taken"),
    _number("refused"),
    _number("last_taken_at", nullable=True),
    _number("last_refused_at", nullable=True),
    _text("last_refusal", nullable=True),
    _number("updated_at"),
    PrimaryKeyConstraint("account", "provider", "instance"),
    comment="How many callbacks each ingest process took and refused since it started; counts of processes add up.",
)

users = Table(
    "users",
    METADATA,
    _id(),
    _text("email"),
    _text("name"),
    _text("password", nullable=True),
    _text("subject", nullable=True),
    _number("created_at"),
    _number("disabled_at", nullable=True),
    _number("last_seen_at", nullable=True),
    UniqueConstraint("email", name="users_email"),
    UniqueConstraint("subject", name="users_subject"),
    comment="Who may sign in. `password` is an argon2id hash, `subject` the issuer and name at OpenID Connect.",
)

grants = Table(
    "grants",
    METADATA,
    _number("user_id"),
    _text("account"),
    _text("role"),
    PrimaryKeyConstraint("user_id", "account"),
    comment="Roles of users: admin, support or viewer of an account; `account` is empty for every account.",
)

invitations = Table(
    "invitations",
    METADATA,
    _text("digest"),
    _number("user_id"),
    _number("expires_at"),
    _number("used_at", nullable=True),
    PrimaryKeyConstraint("digest"),
    comment="One-time links by which a user sets a password; the digest of each.",
)

sessions = Table(
    "sessions",
    METADATA,
    _text("digest"),
    _number("user_id"),
    _number("created_at"),
    _number("seen_at"),
    PrimaryKeyConstraint("digest"),
    Index("sessions_of_user", "user_id"),
    comment="Who is signed in; the digest of each cookie.",
)

customer_links = Table(
    "customer_links",
    METADATA,
    _text("id"),
    _text("digest"),
    _text("account"),
    _text("endpoint"),
    _number("created_at"),
    _number("expires_at"),
    PrimaryKeyConstraint("id"),
    Index("customer_links_of_endpoint", "account", "endpoint"),
    comment="One-time links that open one endpoint to its customer; the digest of each. One that was used is deleted.",
)

customer_sessions = Table(
    "customer_sessions",
    METADATA,
    _text("digest"),
    _text("link_id"),
    _text("account"),
    _text("endpoint"),
    _number("created_at"),
    _number("seen_at"),
    PrimaryKeyConstraint("digest"),
    Index("customer_sessions_of_endpoint", "account", "endpoint"),
    comment="Customers who have opened a link; the digest of each cookie.",
)

sign_in_failures = Table(
    "sign_in_failures",
    METADATA,
    _text("key"),
    _number("failures"),
    _number("last_at"),
    PrimaryKeyConstraint("key"),
    comment="Failed sign-ins in a row, by digest of the address or of the client.",
)

key_uses = Table(
    "key_uses",
    METADATA,
    _text("key_id"),
    _number("last_used_at"),
    PrimaryKeyConstraint("key_id"),
    comment="When each API key was last used, to the minute.",
)

SIGN_IN = (*(users, grants, invitations, sessions, customer_links, customer_sessions, sign_in_failures, key_uses),)

READ_MODEL = tuple(table for table in METADATA.sorted_tables if table not in SIGN_IN)
