"""Kafka client errors under one name: only `bus` imports the client."""

from __future__ import annotations

from aiokafka.errors import CommitFailedError, KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

__all__ = ["CommitFailedError", "KafkaError", "MessageSizeTooLargeError", "PartitionsLost", "may_pass"]


class PartitionsLost(Exception):
    """Another process owns the partitions now; work in progress must not be written."""


def may_pass(error: KafkaError) -> bool:
    """Whether asking again may help.

    aiokafka does not call its own timeouts retriable, and a look-up of offsets ends in one when a broker is slow.
    """
    return bool(error.retriable) or isinstance(error, KafkaTimeoutError)
