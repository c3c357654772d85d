"""Limits of what streams remembers."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bus.environment import settings_error
from schemas.topics import default_catalogue
from streams.settings import StreamsSettings

DAY = 86_400_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRACKLY_MESSAGE_DAYS", "0"),
        ("TRACKLY_MESSAGE_DAYS", "-1"),
        ("TRACKLY_MESSAGE_DAYS", "8"),
        ("TRACKLY_STREAMS_PORT", "-1"),
        ("TRACKLY_STREAMS_PORT", "65536"),
    ],
)
def test_a_setting_out_of_bounds_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        StreamsSettings()
    assert settings_error(caught.value).startswith(f"{name}={value}: ")


@pytest.mark.parametrize(("field", "table"), [("message_days", "table_messages"), ("conversion_days", "table_clicks")])
def test_a_row_is_remembered_no_longer_than_its_changelog_is_kept(field: str, table: str) -> None:
    (most,) = (bound.le for bound in StreamsSettings.model_fields[field].metadata if hasattr(bound, "le"))
    assert most * DAY == default_catalogue()[table].retention_ms
