"""The current settings as a file."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from accounts import checks
from accounts.alerts import SEVERITIES, TYPES
from accounts.model import Accounts
from accounts.secrets import KeyRing, new_key
from operations.as_code.export import export
from operations.as_code.plan import PlanError, make_plan
from schemas.records import AccountConfig, EndpointConfig, ListConfig
from tests.unit.operations.as_code.files import ACCOUNT, ENDPOINT, SIGNING, WHOLE, view_of


def test_export_shows_no_header_that_may_be_secret() -> None:
    text = export(view_of(ACCOUNT, replace(ENDPOINT, headers={"Authorization": "Bearer t0ken", "X-A": "env:A"})))
    assert "t0ken" not in text
    assert 'X-A = "env:A"' in text


def test_export_does_not_make_a_pause_permanent() -> None:
    text = export(view_of(ACCOUNT, replace(ENDPOINT, enabled=False, paused_reason="gone", paused_at=7)))
    assert "enabled" not in text
    assert "paused" not in text


def test_export_hides_secrets_and_keeps_references() -> None:
    text = export(view_of(SIGNING, ENDPOINT, *make_plan(WHOLE.replace("acme", "beta"), Accounts()).configs))
    assert not [secret for secret in ("t0p", "p0st", "c4llback", "s3cret") if secret in text]
    assert 'secret = "***"  # *** keeps the stored secret' in text
    assert 'auth_token = "env:ACME_TWILIO_TOKEN"' in text
    assert 'token = "file:/run/secrets/postback"' in text
    assert 'token_previous = "env:ACME_OLD_POSTBACK"' in text


KEYS = KeyRing((new_key(),))
NO_SECRETS = """
[[accounts]]
id = "acme"
[accounts.providers.infobip]
username = "acme"
password = "a passw0rd"
header_name = "X-Acme"
header_value = "a he4der"
[accounts.providers.eztexting]
secret = "a s3cret"
signature = "required"
"""


def test_credentials_that_are_no_secrets_are_exported_as_they_are() -> None:
    stored = view_of(*make_plan(NO_SECRETS, Accounts(), keys=KEYS).configs)
    text = export(stored, KEYS)
    for line in ('username = "acme"', 'header_name = "X-Acme"', 'signature = "required"'):
        assert line in text
    assert not [secret for secret in ("passw0rd", "he4der", "s3cret") if secret in text]
    assert make_plan(text, stored, keys=KEYS).is_empty
    without = export(stored)
    assert 'username = "***"' in without
    assert make_plan(without, stored).is_empty


def test_applied_where_no_secret_is_stored_an_export_names_what_is_to_be_filled_in() -> None:
    stored = view_of(*make_plan(NO_SECRETS, Accounts(), keys=KEYS).configs)
    with pytest.raises(PlanError) as caught:
        make_plan(export(stored, KEYS), Accounts(), keys=KEYS)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "accounts[0].providers.infobip.password",
        "accounts[0].providers.infobip.header_value",
        "accounts[0].providers.eztexting.secret",
    ]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
IDS = st.from_regex(r"[A-Za-z0-9_.-]{1,8}", fullmatch=True).filter(lambda name: name not in checks.RESERVED_IDS)
SECRETS = TEXT.filter(lambda text: not text.startswith(("env:", "file:", "whsec_"))) | st.just("env:NAME")

BRAKES = st.fixed_dictionaries(
    {"brake_share": st.none() | st.floats(0, 1), "brake_minimum": st.none() | st.integers(0, 10**9)}
)
OPT_OUT_WORDS = st.lists(TEXT.map("x".__add__), min_size=1, max_size=2, unique=True).map(tuple)


@st.composite
def views(draw: st.DrawFn) -> Accounts:
    view = Accounts()
    credentials: dict[str, st.SearchStrategy[Mapping[str, str]]] = {
        "lime": st.dictionaries(st.sampled_from(["path_secret", "path_secret_previous"]), SECRETS),
        "eztexting": st.dictionaries(st.sampled_from(["secret", "secret_previous"]), SECRETS),
    }
    for account in draw(st.sets(IDS, min_size=1, max_size=3)):
        view.put(
            AccountConfig(
                id=account,
                name=draw(TEXT),
                providers=draw(st.fixed_dictionaries({}, optional=credentials)),
                postbacks=draw(
                    st.fixed_dictionaries({"token": SECRETS}, optional={"token_previous": SECRETS}) | st.just({})
                ),
                trusted_postback_cidrs=draw(st.just(()) | st.just(("198.51.100.0/24", "2001:db8::/32"))),
                callback_rate_limit=draw(st.none() | st.floats(0.1, 100_000)),
                discord_webhook_url=draw(st.none() | st.just("https://discord.example/secret")),
                opt_out_words=draw(st.dictionaries(st.sampled_from(["keywords", "never"]), OPT_OUT_WORDS)),
                opt_out_off=tuple(draw(st.sets(st.sampled_from(checks.OPT_OUT_LAYERS)))),
                registers_messages=draw(st.booleans()),
                callback_secret=draw(st.none() | SECRETS),
                allow_http=draw(st.booleans()),
                alerts_on=draw(st.dictionaries(st.sampled_from(list(TYPES)), st.booleans())),
                alerts_minimum_severity=draw(st.sampled_from(SEVERITIES)),
                alerts_muted_until=draw(st.none() | st.integers(0, 2**40)),
                slack_webhook_url=draw(st.none() | st.just("https://hooks.slack.example/x")),
                alert_webhook_url=draw(st.none() | st.just("env:ALERTS")),
                alert_webhook_secret=draw(st.none() | SECRETS),
                code_classes=draw(
                    st.dictionaries(
                        st.sampled_from(["twilio 30500", "infobip 5,51", "cm a b"]), st.sampled_from(checks.CLASSES)
                    )
                ),
                opt_out_scope=draw(st.sampled_from(checks.OPT_OUT_SCOPES)),
                opt_out_scope_from=draw(st.none() | st.integers(0, 2**41)),
                **draw(BRAKES),
            )
        )
        numbers = draw(st.sets(st.sampled_from(["+18005551234", "+4915112345678", "54321"])))
        for number in numbers:
            ids = draw(st.dictionaries(st.sampled_from(["lime", "cm"]), TEXT))
            senders = (f"agent of {number}",)
            more = draw(st.sampled_from([{}, {"numbers": (f"+1{number[-5:]}77",), "senders": senders}]))
            config = ListConfig(account=account, number=number, retry_threshold=7, provider_list_ids=ids, **more)
            view.put(replace(config, **draw(BRAKES)))
        for endpoint in draw(st.sets(IDS, max_size=2)):
            view.put(
                EndpointConfig(
                    account=account,
                    id=endpoint,
                    url="https://a.example/x?y=z",
                    secret=draw(SECRETS),
                    events=("reply", "delivery"),
                    lists=tuple(sorted(numbers)),
                    enabled=draw(st.booleans()),
                    description=draw(st.just("") | TEXT),
                    retry_schedule=draw(st.sampled_from([(), ("1m", "5m")])),
                    rate_limit=draw(st.none() | st.floats(0.01, 100_000)),
                    headers=draw(st.dictionaries(st.sampled_from(["X-A", "Authorization"]), st.just("v"))),
                    format=draw(st.sampled_from(checks.FORMATS)),
                    batch_events=draw(st.integers(1, 100)),
                )
            )
    return view


@settings(max_examples=50)
@given(views())
def test_applying_an_export_changes_nothing(view: Accounts) -> None:
    text = export(view)
    plan = make_plan(text, view)
    assert (plan.configs, plan.untouched) == ([], ())
