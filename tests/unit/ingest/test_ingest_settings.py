"""The URLs under which a provider's signature is accepted."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bus.settings import settings_error
from ingest.settings import IngestSettings


def test_the_configured_url_is_the_only_one() -> None:
    settings = IngestSettings(public_url="https://sms.example.com/")
    assert settings.public_urls == ("https://sms.example.com",)


def test_without_one_this_machine_s_own_names_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACKLY_PUBLIC_URL", raising=False)
    assert IngestSettings(port=8099).public_urls == ("http://localhost:8099", "http://127.0.0.1:8099")


def test_two_path_secrets_are_valid_while_one_is_changed() -> None:
    settings = IngestSettings.model_validate({"lime_webhook_secret": "the-old-one, the-new-one"})
    assert settings.path_secrets("lime") == ("the-old-one", "the-new-one")


@pytest.mark.parametrize("name", ["LIME_WEBHOOK_SECRET", "EZTEXTING_WEBHOOK_SECRET"])
@pytest.mark.parametrize("value", ["s3cret!", "long enough to be one, s3cret!"])
def test_a_path_secret_that_can_be_guessed_is_refused_with_the_remedy(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        IngestSettings()
    told = settings_error(caught.value)
    assert told.startswith(f"{name}: is too short: write 8 characters or more, for example with `openssl rand -hex 16`")
    assert "s3cret" not in told


def test_without_a_secret_nothing_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EZTEXTING_WEBHOOK_SECRET", raising=False)
    assert IngestSettings().path_secrets("eztexting") == ()
