"""Errors of Kafka's client, under one name for all rooms: outside `bus` nobody imports the client."""

from __future__ import annotations

from aiokafka.errors import CommitFailedError, KafkaError, MessageSizeTooLargeError

__all__ = ["CommitFailedError", "KafkaError", "MessageSizeTooLargeError"]
