"""The URLs under which a provider's signature is accepted."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bus.environment import settings_error
from ingest.settings import IngestSettings


def test_the_configured_url_is_the_only_one() -> None:
    settings = IngestSettings(public_url="https://sms.example.com/")
    assert settings.public_urls == ("https://sms.example.com",)


def test_without_one_this_machine_s_own_names_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACKLY_PUBLIC_URL", raising=False)
    assert IngestSettings(port=8099).public_urls == ("http://localhost:8099", "http://127.0.0.1:8099")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("sms.example.com", '"sms.example.com" is not a valid web address; write it as https://example.com/path'),
        ("https://", '"https://" is not a valid web address'),
        ("https://sms example.com", '"https://sms example.com" is not a valid web address'),
        ("https://u:p@sms.example.com", "contains a user name or password"),
        (
            "https://sms.example.com/api/webhook-feedbacks/twilio",
            "is not a base URL: write only what comes before /api",
        ),
        ("https://sms.example.com/?account=acme", "is not a base URL"),
        ("https://sms.example.com/#rc=3", "is not a base URL"),
    ],
)
def test_an_address_that_no_provider_can_have_signed_is_refused(
    value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKLY_PUBLIC_URL", value)
    with pytest.raises(ValidationError) as caught:
        IngestSettings()
    assert settings_error(caught.value).startswith("TRACKLY_PUBLIC_URL")
    assert told in settings_error(caught.value)


def test_the_configured_url_may_have_a_path_and_blanks_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLY_PUBLIC_URL", " https://example.com/api/sms/ ")
    assert IngestSettings().public_urls == ("https://example.com/api/sms",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRACKLY_INGEST_PORT", "0"),
        ("TRACKLY_INGEST_PORT", "80800"),
        ("TRACKLY_BODY_TIMEOUT", "0"),
        ("TRACKLY_BODY_TIMEOUT", "nan"),
        ("TRACKLY_MAX_PENDING_BYTES", "-1"),
    ],
)
def test_a_setting_with_which_no_callback_could_be_taken_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        IngestSettings()
    assert settings_error(caught.value).startswith(f"{name}={value}: ")


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
