"""Finds partitions that a consumer group left unassigned. Relies on private API of aiokafka 0.14.0."""

from __future__ import annotations

from collections.abc import Iterable

import aiokafka
from aiokafka.client import ConnectionGroup
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.protocol.admin import DescribeGroupsRequest

from bus.ledger import TopicPartition


async def read_by_nobody(consumer: aiokafka.AIOKafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    """Return topic partitions that no member of the consumer's group has; none during a rebalance.

    Raises aiokafka.errors.KafkaError.
    """
    coordinator, client = consumer._coordinator, consumer._client
    if coordinator.coordinator_id is None:
        return []
    request = DescribeGroupsRequest([coordinator.group_id])
    answer = await client.send(coordinator.coordinator_id, request, group=ConnectionGroup.COORDINATION)
    ((_, _, state, _, _, members, *_),) = answer.groups
    if state != "Stable":
        return []
    shares = [ConsumerProtocol.ASSIGNMENT.decode(member[4]) for member in members]
    taken = {(topic, number) for share in shares for topic, numbers in share.assignment for number in numbers}
    there = [(topic, number) for topic in topics for number in client.cluster.partitions_for_topic(topic) or ()]
    return [TopicPartition(*each) for each in sorted(there) if each not in taken]
