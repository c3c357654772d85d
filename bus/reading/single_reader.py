"""A consumer group in which one member reads everything while the others stand by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


class OneReader(AbstractPartitionAssignor):  # type: ignore[misc]
    """Assigns all partitions of all topics to the member with the lowest id, for work that counts across partitions."""

    name = "one-reader"
    version = 0

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Return the partitions of each member."""
        topics = sorted({topic for member in members.values() for topic in member.subscription})
        all_partitions = [(topic, sorted(cluster.partitions_for_topic(topic) or ())) for topic in topics]
        reader = min(members)
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, all_partitions if member == reader else [], b"")
            for member in members
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Return a member's metadata for joining."""
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Do nothing: no state is kept between assignments."""
