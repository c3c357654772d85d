"""The services on a Kafka that permits exactly what `trackly topics acls` lists."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka import KafkaProducer
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType
from kafka.errors import TopicAuthorizationFailedError

from bus.admin import Admin
from bus.embedded.broker import free_port
from bus.settings import BusSettings
from schemas.records import AccountConfig, DeliveryEvent, EndpointConfig, ListConfig, WebhookAttempt
from tests.cluster import Cluster, ForkedService
from tests.patience import PATIENCE
from tests.secured_broker import PASSWORD, SecuredKafka, token_issuer
from trackly.commands.topics.acls import SERVICES, AccessRule, rules

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(600)]

USERS = [f"trackly-{name}" for name in (*SERVICES, "setup", "admin")]
OPERATIONS = {operation.name.replace("_", "").lower(): operation for operation in ACLOperation}


class UserCluster(Cluster):
    """Services that connect as the user with their name."""

    def _service(self, name: str) -> ForkedService:
        kind = name.rpartition("-")[0] if name[-1].isdigit() else name
        before = self.environment
        self.environment = {**before, **self.as_user(kind)}
        try:
            return super()._service(name)
        finally:
            self.environment = before

    def as_user(self, kind: str) -> dict[str, str]:
        """Return the variables with which a service connects as its user."""
        return {"KAFKA_SASL_USERNAME": f"trackly-{kind}", "KAFKA_SASL_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with SecuredKafka(tmp_path_factory.mktemp("secured"), USERS) as kafka:
        yield kafka


def as_acl(rule: AccessRule) -> list[ACL]:
    kind = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}[rule.resource]
    pattern = ACLResourcePatternType.PREFIXED if rule.is_prefix else ACLResourcePatternType.LITERAL
    return [
        ACL(
            f"User:{rule.user}",
            "*",
            OPERATIONS[operation.lower()],
            ACLPermissionType.ALLOW,
            ResourcePattern(kind, rule.name, pattern),
        )
        for operation in rule.operations
    ]


def allow(settings: BusSettings) -> None:
    with Admin(settings, PATIENCE) as admin:
        client: Any = admin._client
        done = client.create_acls([acl for rule in rules(settings) for acl in as_acl(rule)])
        assert not done["failed"], done


@pytest.fixture
def cluster(kafka: SecuredKafka, tmp_path: Path) -> Iterator[UserCluster]:
    """Yield topics created by `trackly-setup`; nothing runs yet."""
    settings = BusSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=f"acl{free_port()}.", partitions=2, data_dir=tmp_path
    )
    allow(settings)
    cluster = UserCluster(
        settings,
        tmp_path,
        KAFKA_BOOTSTRAP_SERVERS=kafka.sasl_servers,
        KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
        TRACKLY_METRICS_TOKEN="",
        DATABASE_URL=f"sqlite:///{tmp_path / 'console.db'}",
    )
    made = cluster.trackly("topics", "apply", **cluster.as_user("setup"))
    assert made.returncode == 0, made.stderr
    with cluster:
        yield cluster


def configure(cluster: Cluster) -> None:
    endpoint = EndpointConfig(
        account="acme",
        id="crm",
        url=f"http://127.0.0.1:{free_port()}/",
        secret="whsec_" + "c2VjcmV0" * 4,
        events=("delivery",),
    )
    configs = [AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number="+18005550001"), endpoint]
    asyncio.run(cluster.configure(configs))


def post_report(cluster: Cluster, message: str) -> None:
    report = {"messageId": message, "to": "15551230001", "from": "18005550001", "status": {"groupId": 3, "id": 5}}
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    answer = httpx.post(url, json={"results": [report]}, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text


def test_services_do_their_work_and_are_denied_nothing(cluster: UserCluster, kafka: SecuredKafka) -> None:
    configure(cluster)
    cluster.start("ingest", "streams-1", "sinks-1", "console-1", "read-model-1")
    cluster.wait_ready()
    post_report(cluster, "m-1")
    cluster.wait_for("delivery", DeliveryEvent, "m-1")
    # The endpoint does not answer, so the webhook goes to a delay tier.
    cluster.wait_for("webhooks_attempts", WebhookAttempt, "crm")
    retry = next(name for name in cluster.settings.catalogue if name.startswith("webhooks_retry"))
    until = time.monotonic() + PATIENCE
    while not cluster.stored(retry):
        assert time.monotonic() < until, cluster.ended()
        time.sleep(0.2)
    key = asyncio.run(cluster.make_key("acme"))
    answer = httpx.post(
        f"{cluster.console('console-1')}/api/contacts/check",
        headers={"X-Api-Key": key},
        json={"list_number": "+18005550001", "numbers": ["+15551230001"]},
        timeout=PATIENCE,
    )
    assert answer.status_code == 200, answer.text
    for name in list(cluster.services):
        cluster.stop(name)
    prefix = cluster.settings.topic_prefix
    assert {refusal for refusal in kafka.denied() if prefix in refusal[2]} == set()


def test_a_service_may_not_write_what_another_writes(cluster: UserCluster, kafka: SecuredKafka) -> None:
    refused = cluster.trackly("topics", "apply", **cluster.as_user("ingest"), TRACKLY_TOPIC_PREFIX="other.")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    settings = BusSettings(
        bootstrap_servers=kafka.sasl_servers,
        security_protocol="SASL_PLAINTEXT",
        sasl_username="trackly-ingest",
        sasl_password=PASSWORD,  # type: ignore[arg-type]
        topic_prefix=cluster.settings.topic_prefix,
        partitions=2,
    )
    written = {topic.name: may_write(settings, topic.name) for topic in settings.catalogue.values()}
    assert {name for name, may in written.items() if may} == {
        topic.name for topic in settings.catalogue.values() if "ingest" in topic.written_by
    }


def may_write(settings: BusSettings, topic: str) -> bool:
    producer = KafkaProducer(**settings.kafka_python(), acks="all")
    try:
        producer.send(topic, b"", key=b"k", partition=0).get(timeout=PATIENCE)
    except TopicAuthorizationFailedError:
        return False
    finally:
        producer.close(timeout=5)
    return True


def test_tokens_instead_of_passwords(cluster: UserCluster) -> None:
    with token_issuer() as issuer:
        tokens = {
            "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
            "KAFKA_OAUTH_TOKEN_URL": issuer.url,
            "KAFKA_OAUTH_CLIENT_SECRET": "a secret of the client",
        }

        def as_client(kind: str) -> dict[str, str]:
            return {**tokens, "KAFKA_OAUTH_CLIENT_ID": f"trackly-{kind}"}

        cluster.as_user = as_client  # type: ignore[method-assign]
        configure(cluster)
        cluster.start("ingest", "streams-1")
        cluster.wait_ready()
        post_report(cluster, "m-2")
        cluster.wait_for("delivery", DeliveryEvent, "m-2")
        assert {known_by for known_by, _ in issuer.asked} == {
            "trackly-ingest:a+secret+of+the+client",
            "trackly-streams:a+secret+of+the+client",
        }
        issuer.status = 401
        refused = cluster.trackly("topics", "apply", **as_client("setup"))
    assert refused.returncode == 1
    assert "KAFKA_OAUTH_TOKEN_URL answered 401: the client id or secret is wrong" in refused.stderr
    assert "Traceback" not in refused.stderr
