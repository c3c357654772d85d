"""Kafka token providers in the form that each client expects."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiokafka.abc import AbstractTokenProvider as AiokafkaProvider
from kafka.net.sasl.oauth import AbstractTokenProvider as KafkaPythonProvider

from bus.tokens import Tokens


class ForAiokafka(AiokafkaProvider):  # type: ignore[misc]
    """aiokafka's interface for tokens and SASL extensions."""

    def __init__(self, tokens: Tokens, extensions: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._extensions = dict(extensions)

    async def token(self) -> str:
        """Return a valid token."""
        return await asyncio.to_thread(self._tokens.get)

    def extensions(self) -> dict[str, str]:
        """Return the SASL extensions."""
        return self._extensions


class ForKafkaPython(KafkaPythonProvider):  # type: ignore[misc]
    """kafka-python's interface, called in its own thread."""

    def __init__(self, tokens: Tokens, extensions: Mapping[str, str]) -> None:
        super().__init__()
        self._tokens = tokens
        self._extensions = dict(extensions)

    def token(self) -> str:
        """Return a valid token."""
        return self._tokens.get()

    def extensions(self) -> dict[str, str]:
        """Return the SASL extensions."""
        return self._extensions
