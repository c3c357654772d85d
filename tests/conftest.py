"""Shared fixtures: a broker per session, and a topic prefix and settings per test."""

from __future__ import annotations

import gc
import os
import secrets
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from bus.settings import BusSettings

pytest_plugins = ("tests.examples", "tests.garbage", "tests.schedule")

KAFKA_IMAGE = "apache/kafka:4.3.0"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--broker",
        choices=["embedded", "testcontainers", "env"],
        help="where tests find Kafka; by default KAFKA_BOOTSTRAP_SERVERS if set, or else an embedded broker",
    )


MEMORY = Path("/dev/shm")
ENOUGH = 8 << 30
"""Bytes of memory that must be free for the files of all tests to be put there."""


def pytest_configure() -> None:
    """Let processes that tests start be interrupted, even if a shell started the tests in the background.

    Files of tests are in memory if there is enough: a broker syncs several files for each partition that a test
    creates, and on a slow disk that takes longer than the test.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if _has_room(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if (worker := os.environ.get("PYTEST_XDIST_WORKER")) is not None:
        _take_own_ports(int(worker.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    # jsonschema imports it if it can, and its grammar takes seconds to read. No test checks the format iri.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]


def _has_room(directory: Path) -> bool:
    if not os.access(directory, os.W_OK):
        return False
    there = os.statvfs(directory)
    return not there.f_flag & os.ST_NOEXEC and there.f_bavail * there.f_frsize > ENOUGH


def _take_own_ports(worker: int, workers: int) -> None:
    """Let each worker choose among ports of its own: a service may take seconds to listen on the one chosen for it."""
    from bus.embedded import broker

    size = len(broker.PORTS) // workers
    broker.PORTS = broker.PORTS[worker % workers * size :][:size]


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real Apache Kafka."""
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
    match request.config.getoption("--broker") or ("env" if servers else "embedded"):
        case "env":
            if not servers:
                pytest.fail("--broker=env, but KAFKA_BOOTSTRAP_SERVERS is not set", pytrace=False)
            yield servers
        case "testcontainers":
            yield from _container()
        case _:
            from bus.embedded.broker import EmbeddedKafka

            with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as kafka:
                yield kafka.bootstrap_servers


@pytest.fixture
def topic_prefix() -> str:
    """Return the prefix of one test's topics and groups, so that tests do not meet on the broker."""
    return f"t{secrets.token_hex(3)}."


@pytest.fixture
def bus_settings(broker: str, topic_prefix: str, tmp_path: Path) -> BusSettings:
    """Return the settings of one test: the broker, 4 partitions, its own topics."""
    from bus.settings import BusSettings

    return BusSettings(
        bootstrap_servers=broker, topic_prefix=topic_prefix, partitions=4, replication=1, data_dir=tmp_path
    )


@pytest.fixture
def environment(bus_settings: BusSettings) -> dict[str, str]:
    """Return the command's environment for one test's broker."""
    return {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": bus_settings.bootstrap_servers,
        "TRACKLY_TOPIC_PREFIX": bus_settings.topic_prefix,
        "TRACKLY_PARTITIONS": str(bus_settings.partitions),
        "TRACKLY_DATA_DIR": str(bus_settings.data_dir),
    }


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Yield the URL of a real PostgreSQL: TRACKLY_TEST_DATABASE_URL if set, whose user may create databases, or else
    our own.
    """
    from tests.postgres import NoPostgres, postgres_server

    given = os.environ.get("TRACKLY_TEST_DATABASE_URL")
    if given:
        yield given
        return
    try:
        with postgres_server() as url:
            yield url
    except NoPostgres as missing:
        pytest.skip(f"NOT TESTED ON POSTGRESQL: {missing}")


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> Iterator[str]:
    """Yield the name of a database with all tables, the template for tests' databases."""
    from database.engine import open_engine
    from database.migrating import migrate
    from tests.databases import database_in

    with database_in(postgres) as url:
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        yield url.rpartition("/")[2]


@pytest.fixture(scope="session")
def postgres_database(postgres: str, postgres_template: str) -> Iterator[str]:
    """Yield the URL of a database with all tables, which one test after another may use."""
    from tests.databases import database_in

    with database_in(postgres, postgres_template) as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database file with all tables, for tests to copy."""
    from database.engine import open_engine
    from database.migrating import migrate

    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the DATABASE_URL of a database with all tables and no rows, once on SQLite and once on PostgreSQL.

    Tests may change its rows, not its tables: on PostgreSQL the next test uses it too.
    """
    from tests.databases import empty

    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "console.db")
        yield f"sqlite:///{path}"
        return
    url = request.getfixturevalue("postgres_database")
    yield url
    empty(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """Yield an engine on `database_url` that may write."""
    from database.engine import open_engine

    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def _no_docker() -> str:
    """Return why no Docker engine can be used, or an empty text."""
    import docker
    from docker.errors import DockerException

    with warnings.catch_warnings():
        # The client leaks a socket if nothing answers.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            docker.from_env().close()
        except DockerException as error:
            reason = str(error)
        else:
            reason = ""
        gc.collect()
    return reason


def _container() -> Iterator[str]:
    """Apache's own image; testcontainers' KafkaContainer only starts images with Confluent's scripts."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    from bus.embedded.broker import free_port

    missing = _no_docker()
    if missing:
        pytest.skip(f"--broker=testcontainers, but no Docker engine answers: {missing}")

    class ApacheKafka(DockerContainer):
        def __init__(self, port: int) -> None:
            super().__init__(KAFKA_IMAGE)
            # The broker must be told its address before it starts, so the port on the host is chosen here.
            self.with_bind_ports(9092, port)
            # Any setting drops all defaults of the image.
            self.with_envs(
                CLUSTER_ID="dHJhY2tseS10ZXN0cy0wMQ",
                KAFKA_NODE_ID="1",
                KAFKA_PROCESS_ROLES="broker,controller",
                KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
                KAFKA_LISTENERS="PLAINTEXT://:9092,CONTROLLER://:9093",
                KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://{self.get_container_host_ip()}:{port}",
                KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
                KAFKA_INTER_BROKER_LISTENER_NAME="PLAINTEXT",
                KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
                KAFKA_MESSAGE_MAX_BYTES="6291456",
                KAFKA_REPLICA_FETCH_MAX_BYTES="6291456",
                KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS="4",
                KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
                KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
                KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
                KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR="1",
                KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR="1",
                KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
            )
            self.waiting_for(LogMessageWaitStrategy("Kafka Server started"))

    port = free_port()
    with ApacheKafka(port) as container:
        kafka: Any = container
        yield f"{kafka.get_container_host_ip()}:{port}"
