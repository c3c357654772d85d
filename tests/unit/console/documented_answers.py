"""Checks that the console answers as documented by OpenAPI, whatever schemathesis sends.

Import it where it is called: importing schemathesis takes a second, in every process that collects tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.hypothesis.builder import (
    InvalidHeadersExampleMark,
    InvalidRegexMark,
    MissingPathParameters,
    NonSerializableMark,
    UnsatisfiableExampleMark,
    UnserializablePayloadMark,
)
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python._constants.orchestrator import make_constants_value_source
from schemathesis.python.asgi import get_client
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.examples import examples

LEFT_OUT = (
    InvalidHeadersExampleMark,
    InvalidRegexMark,
    MissingPathParameters,
    NonSerializableMark,
    UnsatisfiableExampleMark,
    UnserializablePayloadMark,
)


class DocumentedAnswers:
    """Laws of the operations of one application, asked with one key."""

    def __init__(self, app: FastAPI, key: str) -> None:
        self._document = app.openapi()
        self._schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
        # Words of the application's own code, for what is sent.
        self._feedback = FeedbackSources(constants_value_source=make_constants_value_source(self._schema))
        # One client for all requests, which asks the environment for no proxy each time.
        self._client = get_client(app)
        self._client.trust_env = False
        self._key = key

    def check(self, label: str) -> list[type]:
        """Call an operation, such as `GET /api/lists`, with everything that its documentation allows.

        Returns marks of the documented examples that could not be sent.
        """
        # What schemathesis's own `parametrize` does when tests are collected, which takes seconds in every process.
        operation = self._schema.find_operation_by_label(label)
        assert operation is not None
        test: Callable[[], None] = build_operation_test(
            config=self._schema.config,
            operation=operation,
            test_func=self._law(),
            given_kwargs={},
            feedback=self._feedback,
        )
        test()
        # What is left out is noted on the test.
        return [mark for mark in LEFT_OUT if mark.is_set(test)]

    def _law(self) -> Callable[[Case[Any]], None]:
        # Besides some thirty cases of each operation that are always tried: every bound, every missing and wrong value.
        @settings(max_examples=examples(60, elsewhere=4), suppress_health_check=list(HealthCheck))
        def is_answered_as_documented(case: Case[Any]) -> None:
            # What is valid by the document may be refused all the same: a list of nobody's, a number of no country.
            excluded = [positive_data_acceptance]
            if "requestBody" not in self._document["paths"][case.operation.path].get(case.operation.method.lower(), {}):
                # In a URL every value is a text, whatever type it was meant to have.
                excluded.append(negative_data_rejection)
            case.call_and_validate(session=self._client, headers={"X-Api-Key": self._key}, excluded_checks=excluded)

        return is_answered_as_documented
