"""Where contacts are, as given by their accounts: a local copy of `sms.contacts.places`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bus.layout import TopicMadeAnew
from bus.reading.replica import Replica
from hours.places import Given, is_state, is_zone
from schemas.codec import Codec, CodecError
from schemas.ids import recipient_key
from schemas.records import ContactPlace

log = logging.getLogger(__name__)


class ContactPlaces:
    """The places that accounts have given for their contacts."""

    def __init__(self, codec: Codec, replica: Replica) -> None:
        self._codec = codec
        self._replica = replica

    async def start(self) -> None:
        """Follow the topic. Raises AdminError if there is no broker or no topic."""
        try:
            await self._replica.start()
        except TopicMadeAnew:
            # Without a given place, the number decides.
            log.warning("%s was recreated: the places given before are gone", self._replica.topic.name)
            self._replica.wipe()
            await self._replica.start()

    async def stop(self) -> None:
        """Stop following."""
        await self._replica.stop()

    def given(self, account: str, number: str) -> Given | None:
        """Return what was given for a contact, or None. Unreadable entries, and those without a place, are ignored."""
        return self.given_of([recipient_key(account, number)])[0]

    def given_of(self, recipients: Sequence[bytes]) -> list[Given | None]:
        """Return those of contacts by key, in order."""
        return [None if value is None else self._read(value) for value in self._replica.get_many(recipients)]

    def _read(self, value: bytes) -> Given | None:
        try:
            place = self._codec.decode_as(ContactPlace, value)
        except CodecError:
            return None
        # Senders may write the topic themselves.
        zone = place.time_zone if place.time_zone is not None and is_zone(place.time_zone) else None
        state = place.state if place.state is not None and is_state(place.state) else None
        return None if zone is None and state is None else Given(zone, state)

    def not_ready(self) -> str | None:
        """Return why given places are unknown, or None."""
        if self._replica.problem is not None:
            return self._replica.problem
        return f"reading contact places: {self._replica.left} records left" if self._replica.left else None
