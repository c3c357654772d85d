"""What a file changes in the current settings, and what it leaves alone."""

from __future__ import annotations

import base64

import pytest
from msgspec.structs import replace

from accounts.model import Accounts
from accounts.secrets import KeyRing, SecretMissing, new_key, with_secrets
from operations.as_code.plan import PlanError, make_plan, new_secret
from schemas.records import AccountConfig, EndpointConfig, ListConfig
from tests.unit.operations.as_code.files import (
    ACCOUNT,
    ENDPOINT,
    LIST,
    OTHER,
    SIGNING,
    WHOLE,
    account_with,
    endpoint_with,
    problems_of,
    view_of,
)


def test_an_address_is_refused_that_belongs_to_a_stored_list() -> None:
    view = view_of(replace(LIST, numbers=("+18885550199",)))
    text = account_with('[[accounts.lists]]\nnumber = "54321"\nnumbers = ["+18885550199"]')
    assert problems_of(text, view) == ('accounts[0].lists[0]: "+18885550199" already belongs to list +18005551234',)


def test_an_address_may_move_to_another_list_in_one_file() -> None:
    view = view_of(replace(LIST, numbers=("+18885550199",)), ListConfig(account="acme", number="54321"))
    text = account_with(
        '[[accounts.lists]]\nnumber = "+18005551234"\n[[accounts.lists]]\nnumber = "54321"\nnumbers = ["+18885550199"]'
    )
    assert [change.fields for change in make_plan(text, view).changes[1:]] == [("numbers (removed)",), ("numbers",)]


def test_a_plan_does_not_show_secrets_when_printed() -> None:
    plan = make_plan(endpoint_with(""), Accounts(), generate=lambda: "whsec_czNjcmV0")
    assert "whsec_" not in repr(plan)


def test_an_endpoint_may_name_a_list_that_is_only_stored() -> None:
    plan = make_plan(endpoint_with('lists = ["+18005551234"]'), view_of(LIST))
    assert [change.action for change in plan.changes] == ["create", "create"]


def test_a_new_endpoint_without_a_secret_gets_one() -> None:
    plan = make_plan(endpoint_with(""), Accounts())
    secret = plan.new_secrets["acme/crm"]
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 24
    assert [c.secret for c in plan.configs if isinstance(c, EndpointConfig)] == [secret]


def test_no_two_secrets_are_the_same() -> None:
    assert new_secret() != new_secret()


@pytest.mark.parametrize("line", ["", 'secret = "***"'])
def test_an_endpoint_that_exists_keeps_its_secret(line: str) -> None:
    plan = make_plan(endpoint_with(line), view_of(AccountConfig(id="acme", name="acme"), ENDPOINT))
    assert [change.action for change in plan.changes] == ["unchanged", "unchanged"]
    assert plan.new_secrets == {}


def test_a_new_secret_replaces_the_old_one() -> None:
    plan = make_plan(endpoint_with('secret = "env:NEW"'), view_of(AccountConfig(id="acme", name="acme"), ENDPOINT))
    assert [(change.action, change.fields) for change in plan.changes] == [
        ("unchanged", ()),
        ("update", ("secret",)),
    ]


def test_stars_keep_the_credentials_that_are_stored() -> None:
    text = account_with(
        'name = "Acme"\n[accounts.providers.twilio]\nauth_token = "***"\n[accounts.postbacks]\ntoken = "***"'
        '\n[accounts.callbacks]\nsecret = "***"'
    )
    assert [change.config for change in make_plan(text, view_of(SIGNING)).changes] == [SIGNING]


def test_stars_for_a_credential_that_is_not_stored_are_a_mistake() -> None:
    text = account_with('[accounts.providers.infobip]\npassword = "***"')
    (problem,) = problems_of(text, view_of(ACCOUNT))
    assert problem.startswith('accounts[0].providers.infobip.password: "***" keeps the stored secret')


def test_a_second_plan_changes_nothing() -> None:
    view = view_of(*make_plan(WHOLE, Accounts()).configs)
    assert make_plan(WHOLE, view).configs == []


def test_an_update_names_the_fields_that_change() -> None:
    text = account_with(
        'name = "Acme Media"\ntrusted_cidrs = ["10.0.0.0/8"]\n'
        '[accounts.providers.twilio]\nauth_token = "new"\n[accounts.providers.infobip]\nusername = "u"'
    )
    (change,) = make_plan(text, view_of(ACCOUNT)).changes
    assert change.action == "update"
    assert change.fields == (
        "name",
        "providers.twilio.auth_token",
        "providers.infobip",
        "trusted_cidrs",
        "postbacks.token (removed)",
    )


def test_only_what_changes_is_written() -> None:
    text = account_with('name = "Acme Media"\n[[accounts.lists]]\nnumber = "+18005551234"')
    assert make_plan(text, view_of(AccountConfig(id="acme", name="Acme"), LIST)).configs == [
        AccountConfig(id="acme", name="Acme Media")
    ]


def test_what_is_stored_but_not_in_the_file_stays() -> None:
    other = AccountConfig(id="other", name="Other")
    plan = make_plan(account_with('name = "Acme"'), view_of(ACCOUNT, LIST, ENDPOINT, other))
    assert plan.untouched == ("account other", "list acme/+18005551234", "endpoint acme/crm")


def test_a_change_is_named_by_its_place_in_the_file() -> None:
    stored = AccountConfig(id="acme", name="acme", postbacks={"token": "old"}, callback_rate_limit=5.0)
    lines = (
        'callback_rate_limit = 6\n[accounts.postbacks]\ntoken = "new-token"\ntoken_previous = "old"\n'
        'trusted_cidrs = ["::/0"]'
    )
    (change,) = make_plan(account_with(lines), view_of(stored)).changes
    assert change.fields == (
        "postbacks.token",
        "postbacks.token_previous",
        "postbacks.trusted_cidrs",
        "callback_rate_limit",
    )


@pytest.mark.parametrize("reason", ["failing", "gone", "operator"])
def test_applying_a_file_does_not_end_a_pause_and_says_so(reason: str) -> None:
    paused = replace(ENDPOINT, enabled=False, paused_reason=reason, paused_at=7)
    plan = make_plan(endpoint_with('secret = "***"\nbatch_events = 2'), view_of(paused))
    assert plan.configs[1:] == [replace(paused, batch_events=2)]
    assert plan.notes == (
        f"endpoint acme/crm stays paused ({reason}); to resume it: trackly endpoints resume acme/crm",
    )


def test_a_new_url_ends_a_pause() -> None:
    paused = replace(ENDPOINT, enabled=False, paused_reason="gone", paused_at=7)
    text = account_with('[[accounts.endpoints]]\nid = "crm"\nurl = "https://new.example/"')
    assert make_plan(text, view_of(paused)).configs[1:] == [replace(ENDPOINT, url="https://new.example/")]


def test_applying_a_file_keeps_a_rotation_that_is_under_way() -> None:
    rotating = replace(ENDPOINT, secret_next="whsec_bmV4dA==", secret_next_at=7)
    assert make_plan(endpoint_with(""), view_of(rotating)).configs[1:] == []


def test_a_file_does_not_end_a_mute() -> None:
    view = Accounts()
    view.put(AccountConfig(id="acme", name="acme", alerts_muted_until=1_705_314_600_000))
    [config] = make_plan('[[accounts]]\nid = "acme"\nname = "Acme"', view).configs
    assert config == AccountConfig(id="acme", name="Acme", alerts_muted_until=1_705_314_600_000)


def test_the_plan_names_settings_of_alerts_by_their_place_in_the_file() -> None:
    view = Accounts()
    view.put(AccountConfig(id="acme", name="acme", alerts_on={"opt_outs": False}, alert_webhook_url="env:ALERTS"))
    text = '[[accounts]]\nid = "acme"\n[accounts.alerts]\nopt_outs = true\nminimum_severity = "high"'
    [change] = make_plan(text, view).changes
    assert change.fields == ("alerts.opt_outs", "alerts.minimum_severity", "alerts.webhook_url (removed)")


KEYS = KeyRing((new_key(),))
LITERALS = endpoint_with('secret = "s3cret-that-signs"').replace(
    'id = "acme"',
    'id = "acme"\nname = "Acme"\nproviders = { twilio = { auth_token = "t0p" } }\npostbacks.token = "p0st-token"',
)


def test_secrets_of_a_plan_are_sealed() -> None:
    plan = make_plan(LITERALS, Accounts(), keys=KEYS)
    assert not any(secret in repr(plan.configs) for secret in ("s3cret", "t0p", "p0st"))
    assert [with_secrets(config, KEYS.open) for config in plan.configs] == [ACCOUNT, ENDPOINT]
    assert plan.unsealed == []


def test_a_generated_secret_is_sealed_and_shown_as_it_is() -> None:
    plan = make_plan(endpoint_with(""), Accounts(), lambda: "whsec_AAAA", KEYS)
    assert plan.new_secrets == {"acme/crm": "whsec_AAAA"}
    assert "whsec_" not in repr(plan.configs)


def test_without_a_key_a_plan_names_what_would_lie_in_plain_text() -> None:
    assert make_plan(LITERALS, Accounts()).unsealed == ["acme", "acme/crm"]
    assert make_plan(endpoint_with('secret = "env:X"'), Accounts()).unsealed == []


def test_the_same_secret_again_changes_nothing_although_it_is_sealed() -> None:
    view = view_of(*(with_secrets(config, KEYS.seal) for config in (ACCOUNT, ENDPOINT)))
    assert make_plan(LITERALS, view, keys=KEYS).configs == []


def test_a_stored_secret_in_plain_text_is_sealed_by_the_next_plan() -> None:
    plan = make_plan(endpoint_with(""), view_of(ACCOUNT, ENDPOINT), keys=KEYS)
    assert ("acme/crm", ("secret",)) in [(change.key, change.fields) for change in plan.changes]


def test_a_sealed_secret_that_cannot_be_opened_is_not_written_over() -> None:
    view = view_of(ACCOUNT, with_secrets(ENDPOINT, KEYS.seal))
    with pytest.raises(SecretMissing):
        make_plan(LITERALS, view, keys=KeyRing((new_key(),)))


PAUSED = replace(ENDPOINT, enabled=False, paused_reason="gone", paused_at=2)


def test_a_pause_and_a_rotation_survive_an_apply() -> None:
    stored = replace(PAUSED, secret_next="env:NEXT", secret_next_at=1)
    [_, changed] = make_plan(endpoint_with('events = ["reply"]'), view_of(stored)).configs
    assert changed == replace(stored, events=("reply",))


def test_a_secret_that_the_file_changes_ends_a_rotation() -> None:
    stored = replace(ENDPOINT, secret_next="env:NEXT", secret_next_at=1)
    [_, changed] = make_plan(endpoint_with('secret = "env:NEXT"'), view_of(stored)).configs
    assert changed == replace(ENDPOINT, secret="env:NEXT")


def test_what_a_file_leaves_out_of_its_accounts_can_go() -> None:
    strangers = AccountConfig(id="other", name="other"), replace(OTHER, account="other")
    view = view_of(ACCOUNT, LIST, ENDPOINT, OTHER, *strangers)
    plan = make_plan(endpoint_with(""), view, prune=True)
    assert [(change.action, change.kind, change.key) for change in plan.pruned] == [
        ("delete", "list", "acme/+18005551234"),
        ("delete", "endpoint", "acme/old"),
    ]
    assert not plan.is_empty
    assert plan.untouched == ("account other", "endpoint other/old")


def test_without_being_told_so_nothing_goes() -> None:
    plan = make_plan(endpoint_with(""), view_of(ACCOUNT, LIST, ENDPOINT, OTHER))
    assert plan.pruned == ()
    assert "endpoint acme/old" in plan.untouched


def test_a_list_that_goes_is_no_list_of_an_endpoint() -> None:
    text = endpoint_with('lists = ["+18005551234"]')
    view = view_of(ACCOUNT, LIST)
    assert make_plan(text, view).configs
    with pytest.raises(PlanError, match="is not a list in account acme"):
        make_plan(text, view, prune=True)


def test_an_address_of_a_list_that_goes_is_free() -> None:
    old = replace(LIST, numbers=("+18885550100",))
    text = account_with('[[accounts.lists]]\nnumber = "+18005550000"\nnumbers = ["+18885550100"]')
    with pytest.raises(PlanError, match="belongs to list"):
        make_plan(text, view_of(ACCOUNT, old))
    assert make_plan(text, view_of(ACCOUNT, old), prune=True).pruned


@pytest.mark.parametrize(("most", "fits"), [(2, True), (1, False)])
def test_an_account_gets_no_more_endpoints_than_it_may_have(most: int, fits: bool) -> None:
    view = view_of(ACCOUNT, OTHER, replace(ENDPOINT, account="other"))
    if fits:
        assert make_plan(endpoint_with(""), view, most_endpoints=most).configs
        return
    with pytest.raises(PlanError, match=r"endpoints\[0\].id: account acme would have more than 1 endpoints"):
        make_plan(endpoint_with(""), view, most_endpoints=most)
    assert make_plan(endpoint_with(""), view, most_endpoints=most, prune=True).pruned


def test_endpoints_that_are_there_may_be_changed_where_there_are_too_many() -> None:
    plan = make_plan(endpoint_with("rate_limit = 5"), view_of(ACCOUNT, ENDPOINT, OTHER), most_endpoints=1)
    assert [change.action for change in plan.changes][-1] == "update"
