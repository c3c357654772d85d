"""Tokens for Kafka as each of the two clients asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiokafka.abc import AbstractTokenProvider as AiokafkaProvider
from kafka.net.sasl.oauth import AbstractTokenProvider as KafkaPythonProvider

from bus.tokens import Tokens


class ForAiokafka(AiokafkaProvider):  # type: ignore[misc]
    """Tokens as aiokafka asks for them, and what is said beside one."""

    def __init__(self, tokens: Tokens, extensions: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._extensions = dict(extensions)

    async def token(self) -> str:
        """A token that holds."""
        return await asyncio.to_thread(self._tokens.get)

    def extensions(self) -> dict[str, str]:
        """What is said beside the token."""
        return self._extensions


class ForKafkaPython(KafkaPythonProvider):  # type: ignore[misc]
    """The same as kafka-python asks for it, in its own thread."""

    def __init__(self, tokens: Tokens, extensions: Mapping[str, str]) -> None:
        super().__init__()
        self._tokens = tokens
        self._extensions = dict(extensions)

    def token(self) -> str:
        """A token that holds."""
        return self._tokens.get()

    def extensions(self) -> dict[str, str]:
        """What is said beside the token."""
        return self._extensions
