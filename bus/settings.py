"""Kafka settings from the environment, in the form each of the three clients needs.

faust, aiokafka, and kafka-python read the same settings, so addresses, TLS, and passwords are configured once. The keys
for secrets stored on Kafka are here too.
"""

from __future__ import annotations

import base64
import re
import ssl
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator

from bus import up_files
from bus.environment import Settings
from bus.tokens import Tokens, client_credentials, msk_iam
from bus.up_files import DEFAULT_PARTITIONS, DEFAULT_SERVERS, EVIDENCE_KEY_FILE, KEY_FILE
from schemas.pseudonyms import Pseudonyms
from schemas.topics import DEFAULT_SCHEDULE, Catalogue, default_catalogue, parse_duration, parse_topic_settings

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,100}")


class BusSettings(Settings):
    """Kafka settings shared by every service and all three clients.

    Raises pydantic.ValidationError, which `bus.environment.settings_error` turns into readable text.
    """

    data_dir: Path = Field(
        default=Path("data"),
        validation_alias="TRACKLY_DATA_DIR",
        description="a directory for tables, the embedded broker, and the addresses that `trackly up` uses",
    )
    bootstrap_servers: str = Field(
        default_factory=up_files.known_servers,
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Kafka brokers as host:port, separated by commas; when unset, the broker of a running"
        f" `trackly up` with the same TRACKLY_DATA_DIR, or else {DEFAULT_SERVERS}",
    )
    partitions: int = Field(
        default_factory=up_files.known_partitions,
        ge=1,
        le=10_000,
        validation_alias="TRACKLY_PARTITIONS",
        description="partitions of each topic that is keyed by recipient, a whole number; fixed once topics"
        f" exist; when unset, that of a running `trackly up`, or else {DEFAULT_PARTITIONS}",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT",
        validation_alias="KAFKA_SECURITY_PROTOCOL",
        description="PLAINTEXT, SSL, SASL_PLAINTEXT, or SASL_SSL",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"] = Field(
        default="PLAIN",
        validation_alias="KAFKA_SASL_MECHANISM",
        description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER (tokens from KAFKA_OAUTH_TOKEN_URL), or"
        " AWS_MSK_IAM (the role of this machine or pod; extra `msk`); used with SASL_PLAINTEXT and"
        " SASL_SSL",
    )
    sasl_username: str | None = Field(
        default=None,
        validation_alias="KAFKA_SASL_USERNAME",
        description="the user name for SASL",
    )
    sasl_password: SecretStr | None = Field(
        default=None,
        validation_alias="KAFKA_SASL_PASSWORD",
        description="the password for SASL",
    )
    oauth_token_url: str | None = Field(
        default=None,
        validation_alias="KAFKA_OAUTH_TOKEN_URL",
        description="https URL of the issuer that grants tokens for client credentials; for OAUTHBEARER",
    )
    oauth_client_id: str | None = Field(
        default=None,
        validation_alias="KAFKA_OAUTH_CLIENT_ID",
        description="the client ID at the token issuer",
    )
    oauth_client_secret: SecretStr | None = Field(
        default=None,
        validation_alias="KAFKA_OAUTH_CLIENT_SECRET",
        description="the client secret for that ID",
    )
    oauth_scope: str | None = Field(
        default=None,
        validation_alias="KAFKA_OAUTH_SCOPE",
        description="scope to request tokens for, if the issuer requires one",
    )
    oauth_extensions: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z]+=[^,\x01]+(,[A-Za-z]+=[^,\x01]+)*$",
        validation_alias="KAFKA_OAUTH_EXTENSIONS",
        description="extensions to send with a token, as NAME=VALUE, separated by commas; Confluent Cloud"
        " requires logicalCluster and identityPoolId",
    )
    ssl_cafile: FilePath | None = Field(
        default=None,
        validation_alias="KAFKA_SSL_CAFILE",
        description="a PEM file with the certificate authorities to trust; when unset, the machine's own",
    )
    ssl_certfile: FilePath | None = Field(
        default=None,
        validation_alias="KAFKA_SSL_CERTFILE",
        description="a PEM file with the client certificate and its chain (mutual TLS)",
    )
    ssl_keyfile: FilePath | None = Field(
        default=None,
        validation_alias="KAFKA_SSL_KEYFILE",
        description="a PEM file with the client's private key; when unset, the key is in KAFKA_SSL_CERTFILE",
    )
    ssl_key_password: SecretStr | None = Field(
        default=None,
        validation_alias="KAFKA_SSL_KEY_PASSWORD",
        description="the password of the client's private key",
    )
    client_rack: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._/-]{1,200}$",
        validation_alias="KAFKA_CLIENT_RACK",
        description="location of this process, as in the brokers' broker.rack; if the brokers have a"
        " replica.selector.class, it lets this process read from a nearby replica",
    )
    schema_registry_url: str | None = Field(
        default=None,
        validation_alias="SCHEMA_REGISTRY_URL",
        description="URL of a schema registry with Confluent's API; when unset, the schema IDs in"
        " schemas/registry.toml are used",
    )
    topic_prefix: str = Field(
        default_factory=up_files.known_prefix,
        validation_alias="TRACKLY_TOPIC_PREFIX",
        description="prefix of topic and group names: letters, digits, dot, underscore, dash; when unset, the"
        " prefix of a running `trackly up` or `demo`, or else none",
    )
    replication: int = Field(
        default=1,
        ge=1,
        le=9,
        validation_alias="TRACKLY_REPLICATION",
        description="replicas of each partition, a whole number up to the number of brokers; use 3 in production",
    )
    retry_schedule: tuple[str, ...] = Field(
        default=DEFAULT_SCHEDULE,
        validation_alias="TRACKLY_RETRY_SCHEDULE",
        description="delays between attempts of a webhook, ascending, separated by commas: 1m,5m,15m,1h,2h",
    )
    topic_settings: str = Field(
        default="",
        validation_alias="TRACKLY_TOPIC_SETTINGS",
        description="Kafka topic settings that differ from the catalog's, as TOPIC:SETTING=VALUE, separated by"
        " commas; TOPIC without the prefix, or * for all: sms.raw:retention.ms=1209600000",
    )
    failure_ratio: float = Field(
        default=0.5,
        gt=0,
        le=1,
        validation_alias="TRACKLY_FAILURE_RATIO",
        description="share of the last 200 records, or of a larger batch, that may fail before a streams or"
        " sinks worker stops; with 1 it never stops, and failed records go to sms.rejected",
    )
    clock_tolerance: float = Field(
        default=60.0,
        gt=0,
        validation_alias="TRACKLY_CLOCK_TOLERANCE",
        description="seconds by which this machine's clock may differ from Kafka's; beyond that, services do not"
        " start or are not ready",
    )
    instance_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        validation_alias="TRACKLY_INSTANCE_ID",
        description="a stable name of this process in its consumer group, so that a restart moves no partitions:"
        " letters, digits, dot, underscore, dash; when unset, each start joins as a new member",
    )
    pseudonym_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        validation_alias="TRACKLY_PSEUDONYM_KEY",
        description="a secret of 16 characters or more that turns numbers into pseudonyms; the same for every"
        " service, and never changed: with another one, services refuse to start; required to erase contacts and to"
        " mirror topics",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        validation_alias="TRACKLY_METRICS_TOKEN",
        description="a secret of 16 characters or more that /metrics requires: scrapers send it as"
        " `Authorization: Bearer TOKEN`; when unset, anyone who can reach the port can read metrics",
    )
    compression: Literal["none", "lz4", "gzip"] = Field(
        default="lz4",
        validation_alias="TRACKLY_COMPRESSION",
        description="how producers compress batches: none, lz4, or gzip",
    )
    secret_keys: tuple[SecretStr, ...] = Field(
        default_factory=up_files.kept_keys,  # type: ignore[arg-type]
        validation_alias="TRACKLY_SECRET_KEYS",
        description="keys that encrypt secrets on Kafka, newest first, separated by commas, the same for every"
        f" service: `trackly secrets new-key` creates one; when unset, those in {KEY_FILE} in"
        " TRACKLY_DATA_DIR, which `trackly up` creates",
    )

    evidence_key: SecretStr | None = Field(
        default_factory=up_files.kept_evidence_key,
        validation_alias="TRACKLY_EVIDENCE_KEY",
        description="the Ed25519 key that signs evidence about contacts: `trackly secrets new-evidence-key`"
        f" creates one; when unset, the one in {EVIDENCE_KEY_FILE} in TRACKLY_DATA_DIR, which `trackly"
        " up` creates",
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _servers_are_addresses(cls, value: str) -> str:
        servers = [server.strip() for server in value.split(",") if server.strip()]
        for server in servers:
            match = _SERVER.fullmatch(server)
            if match is None or not 0 < int(match[2]) < 65_536:
                raise ValueError(f"{server!r} is not a valid host:port")
        if not servers:
            raise ValueError("no server is given")
        return ",".join(servers)

    @field_validator("security_protocol", "sasl_mechanism", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("oauth_token_url")
    @classmethod
    def _tokens_come_by_tls(cls, value: str | None) -> str | None:
        # The client secret is sent there. Plain HTTP is safe on this machine only.
        if value is not None and not re.match(r"https://[^/]|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?/", value):
            raise ValueError("it must begin with https://")
        return value

    @field_validator("schema_registry_url")
    @classmethod
    def _registry_is_url(cls, value: str | None) -> str | None:
        # The message omits the value: such a URL may contain a password.
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("it must begin with http:// or https://")
        return value

    @field_validator("topic_prefix")
    @classmethod
    def _prefix_is_legal(cls, value: str) -> str:
        if not _PREFIX.fullmatch(value):
            raise ValueError(f"{value!r} cannot begin a topic name")
        return value

    @field_validator("retry_schedule", mode="before")
    @classmethod
    def _split_schedule(cls, value: object) -> object:
        return tuple(part for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("retry_schedule")
    @classmethod
    def _schedule_ascends(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # A delay becomes part of a topic name, which must not vary in spaces or case.
        delays = tuple("".join(delay.split()).lower() for delay in value)
        if not delays:
            raise ValueError("no delay is given")
        before = 0
        for delay in delays:
            millis = parse_duration(delay)
            if millis <= before:
                raise ValueError(f"{delay!r} is not longer than the delay before it")
            before = millis
        tier = default_catalogue().delay_tiers[0]
        if tier.retention_ms is not None and before >= tier.retention_ms:
            raise ValueError(f"{delays[-1]!r} is longer than the retention of a delay topic")
        return delays

    @field_validator("topic_settings")
    @classmethod
    def _topic_settings_are_some(cls, value: str) -> str:
        parse_topic_settings(value)
        return value

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        return (
            tuple(re.split(r"[,\s]+", value.strip(", \n"))) if isinstance(value, str) and value.strip() else value or ()
        )

    @field_validator("evidence_key")
    @classmethod
    def _evidence_key_is_one(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value().strip():
            return None
        try:
            length = len(base64.b64decode(value.get_secret_value().strip(), altchars=b"-_", validate=True))
        except ValueError:
            length = 0
        if length != 32:
            raise ValueError("it is not a 32-byte key in URL-safe base64")
        return SecretStr(value.get_secret_value().strip())

    @field_validator("secret_keys")
    @classmethod
    def _keys_are_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for number, key in enumerate(value, 1):
            try:
                length = len(base64.b64decode(key.get_secret_value(), altchars=b"-_", validate=True))
            except ValueError:
                length = 0
            if length != 32:
                raise ValueError(f"key {number} is not a 32-byte key in URL-safe base64")
        return value

    @model_validator(mode="after")
    def _security_is_complete(self) -> BusSettings:
        if self.security_protocol.startswith("SASL") and self.sasl_mechanism == "OAUTHBEARER":
            if self.oauth_token_url is None or self.oauth_client_id is None or self.oauth_client_secret is None:
                raise ValueError(
                    "KAFKA_SASL_MECHANISM=OAUTHBEARER needs KAFKA_OAUTH_TOKEN_URL, KAFKA_OAUTH_CLIENT_ID and"
                    " KAFKA_OAUTH_CLIENT_SECRET"
                )
        elif self.security_protocol.startswith("SASL") and self.sasl_mechanism == "AWS_MSK_IAM":
            if self.security_protocol != "SASL_SSL":
                raise ValueError("KAFKA_SASL_MECHANISM=AWS_MSK_IAM needs KAFKA_SECURITY_PROTOCOL=SASL_SSL")
        elif self.security_protocol.startswith("SASL"):
            if self.sasl_username is None or self.sasl_password is None:
                raise ValueError(
                    f"KAFKA_SECURITY_PROTOCOL={self.security_protocol} needs KAFKA_SASL_USERNAME"
                    " and KAFKA_SASL_PASSWORD"
                )
        elif self.sasl_password is not None:
            raise ValueError(
                f"KAFKA_SASL_PASSWORD is set, but KAFKA_SECURITY_PROTOCOL is {self.security_protocol}: write SASL_SSL"
            )
        if not self.security_protocol.endswith("SSL") and (self.ssl_cafile or self.ssl_certfile):
            raise ValueError(
                "KAFKA_SSL_CAFILE or KAFKA_SSL_CERTFILE is set, but KAFKA_SECURITY_PROTOCOL is"
                f" {self.security_protocol}: write SSL or SASL_SSL"
            )
        if self.ssl_keyfile is not None and self.ssl_certfile is None:
            raise ValueError("KAFKA_SSL_KEYFILE is set without KAFKA_SSL_CERTFILE: name the client's certificate")
        return self

    @cached_property
    def written_down(self) -> dict[str, Any]:
        """Return the addresses recorded by a running `trackly up` with the same data directory."""
        return up_files.written_down({"data_dir": self.data_dir})

    @cached_property
    def catalogue(self) -> Catalogue:
        """Every topic with this deployment's names, partition counts, and delays."""
        own = parse_topic_settings(self.topic_settings)
        return Catalogue(self.topic_prefix, self.partitions, self.retry_schedule, own)

    def group(self, service: str) -> str:
        """Return the name of a service's consumer group."""
        return f"{self.topic_prefix}trackly-{service}"

    @cached_property
    def pseudonyms(self) -> Pseudonyms | None:
        """Pseudonyms by TRACKLY_PSEUDONYM_KEY; None if it is unset."""
        return None if self.pseudonym_key is None else Pseudonyms(self.pseudonym_key.get_secret_value())

    @cached_property
    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the context for SSL and SASL_SSL, with host name verification; otherwise None. Raises ssl.SSLError for
        a broken file."""
        if not self.security_protocol.endswith("SSL"):
            return None
        context = ssl.create_default_context(cafile=self.ssl_cafile)
        if self.ssl_certfile is not None:
            password = self.ssl_key_password.get_secret_value() if self.ssl_key_password else None
            # Without a password, OpenSSL would prompt for one on the terminal.
            context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile, password or "")
        return context

    @cached_property
    def tokens(self) -> Tokens | None:
        """Return this process's source of Kafka tokens; None if it uses none.

        Raises TokenUnavailable if the required extra is missing, or the region is unknown.
        """
        if not self.security_protocol.startswith("SASL"):
            return None
        if self.sasl_mechanism == "AWS_MSK_IAM":
            return Tokens(msk_iam(self.bootstrap_servers))
        if self.sasl_mechanism != "OAUTHBEARER" or self.oauth_client_secret is None:
            return None
        secret = self.oauth_client_secret.get_secret_value()
        return Tokens(
            client_credentials(self.oauth_token_url or "", self.oauth_client_id or "", secret, self.oauth_scope)
        )

    @property
    def extensions(self) -> dict[str, str]:
        """Return the SASL extensions to send with a token."""
        pairs = (pair.partition("=") for pair in (self.oauth_extensions or "").split(",") if pair)
        return {name: value for name, _, value in pairs}

    def aiokafka(self) -> dict[str, Any]:
        """Return keyword arguments for AIOKafkaProducer and AIOKafkaConsumer."""
        arguments = self._client()
        if self.tokens is not None:
            from bus.token_providers import ForAiokafka

            arguments["sasl_oauth_token_provider"] = ForAiokafka(self.tokens, self.extensions)
        return arguments

    def kafka_python(self) -> dict[str, Any]:
        """Return keyword arguments for KafkaAdminClient, KafkaConsumer, and KafkaProducer."""
        arguments = self._client()
        if self.tokens is not None:
            from bus.token_providers import ForKafkaPython

            arguments["sasl_oauth_token_provider"] = ForKafkaPython(self.tokens, self.extensions)
        return arguments

    def _client(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers.split(","),
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context,
        }
        if self.tokens is not None:
            arguments["sasl_mechanism"] = "OAUTHBEARER"
        elif self.security_protocol.startswith("SASL") and self.sasl_password is not None:
            arguments["sasl_mechanism"] = self.sasl_mechanism
            arguments["sasl_plain_username"] = self.sasl_username
            arguments["sasl_plain_password"] = Hidden(self.sasl_password.get_secret_value())
        return arguments


class Hidden(str):
    """A password for clients that require a `str`. kafka-python logs its whole configuration at DEBUG."""

    def __repr__(self) -> str:
        return "'**********'"
