from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import providers
from accounts import checks
from accounts.alerts import SEVERITIES, TYPES
from accounts.model import Accounts
from accounts.secrets import KeyRing, SecretMissing, new_key, with_secrets
from operations.as_code import file
from operations.as_code.plan import PlanError, export, make_plan, new_secret
from operations.codes import CODED_PROVIDERS
from schemas.records import AccountConfig, EndpointConfig, ListConfig

WHOLE = """
[[accounts]]
id = "acme"
name = "Acme Media"
discord_webhook_url = "env:ACME_DISCORD"
allow_http = true
trusted_cidrs = ["203.0.113.0/24", "2001:db8::/32"]
callback_rate_limit = 50
registers_messages = true
codes = { "twilio 30500" = "transient", "infobip REJECTED_DND" = "neutral" }
opt_out_scope = "account"
opt_out_scope_from = 2027-01-31
brake = { share = 0.05, minimum = 200 }
[accounts.providers.twilio]
auth_token = "env:ACME_TWILIO_TOKEN"
[accounts.postbacks]
token = "file:/run/secrets/postback"
token_previous = "env:ACME_OLD_POSTBACK"
trusted_cidrs = ["198.51.100.0/24"]
[accounts.opt_out]
off = ["misspellings"]
keywords = ["BASTA"]
obfuscations = ["S=⚡"]
never = ["the end"]
[accounts.callbacks]
secret = "env:ACME_CALLBACK_SECRET"
[accounts.alerts]
minimum_severity = "medium"
opt_outs = false
inbound_messages = true
slack_webhook_url = "https://hooks.slack.example/T1/B1/x"
webhook_url = "env:ACME_ALERTS"
webhook_secret = "env:ACME_ALERTS_SECRET"
[[accounts.lists]]
number = "+18005551234"
retry_threshold = 5
provider_list_ids = { lime = "1221" }
numbers = ["+18885550199", "72345"]
senders = ["acme_agent"]
dlr_forward_url = "https://example.com/dlr"
reply_forward_url = "https://example.com/reply"
brake = "off"
[[accounts.lists]]
number = "54321"
brake = { minimum = 50 }
[[accounts.endpoints]]
id = "crm"
url = "https://crm.example.com/trackly"
secret = "env:ACME_WEBHOOK_SECRET"
events = ["delivery", "click"]
lists = ["+18005551234"]
enabled = false
description = "the shop's CRM"
retry_schedule = ["1m", "1h"]
rate_limit = 20
format = "cloudevents"
batch_events = 50
headers = { Authorization = "env:CRM_TOKEN", X-Tenant = "7" }
notify = ["ops@crm.example.com"]
list_rate_limits = { "+18005551234" = 5 }
"""

ACCOUNT = AccountConfig(
    id="acme", name="Acme", providers={"twilio": {"auth_token": "t0p"}}, postbacks={"token": "p0st-token"}
)
SIGNING = replace(ACCOUNT, callback_secret="c4llback-that-is-signed")
LIST = ListConfig(account="acme", number="+18005551234")
TOO_SHORT = "is too short: write {} characters or more, for example with `openssl rand -hex 16`"
ENDPOINT = EndpointConfig(
    account="acme",
    id="crm",
    url="https://a.example/",
    secret="s3cret-that-signs",
    events=("delivery", "unsubscribe", "reply"),
)


def view_of(*configs: AccountConfig | ListConfig | EndpointConfig) -> Accounts:
    view = Accounts()
    for config in configs:
        view.put(config)
    return view


def account_with(lines: str) -> str:
    return f'[[accounts]]\nid = "acme"\n{lines}\n'


def endpoint_with(lines: str) -> str:
    return account_with(f'[[accounts.endpoints]]\nid = "crm"\nurl = "https://a.example/"\n{lines}')


def problems_of(text: str, view: Accounts | None = None) -> tuple[str, ...]:
    with pytest.raises(PlanError) as caught:
        make_plan(text, view or Accounts())
    return caught.value.problems


def test_every_setting_is_read() -> None:
    assert make_plan(WHOLE, Accounts()).configs == [
        AccountConfig(
            id="acme",
            name="Acme Media",
            providers={"twilio": {"auth_token": "env:ACME_TWILIO_TOKEN"}},
            trusted_cidrs=("203.0.113.0/24", "2001:db8::/32"),
            postbacks={"token": "file:/run/secrets/postback", "token_previous": "env:ACME_OLD_POSTBACK"},
            trusted_postback_cidrs=("198.51.100.0/24",),
            callback_rate_limit=50.0,
            discord_webhook_url="env:ACME_DISCORD",
            opt_out_words={"keywords": ("BASTA",), "obfuscations": ("S=⚡",), "never": ("the end",)},
            opt_out_off=("misspellings",),
            registers_messages=True,
            callback_secret="env:ACME_CALLBACK_SECRET",
            allow_http=True,
            alerts_on={"opt_outs": False, "inbound_messages": True},
            alerts_minimum_severity="medium",
            slack_webhook_url="https://hooks.slack.example/T1/B1/x",
            alert_webhook_url="env:ACME_ALERTS",
            alert_webhook_secret="env:ACME_ALERTS_SECRET",
            code_classes={"twilio 30500": "transient", "infobip REJECTED_DND": "neutral"},
            opt_out_scope="account",
            opt_out_scope_from=1_801_353_600_000,
            brake_share=0.05,
            brake_minimum=200,
        ),
        ListConfig(
            account="acme",
            number="+18005551234",
            retry_threshold=5,
            provider_list_ids={"lime": "1221"},
            dlr_forward_url="https://example.com/dlr",
            reply_forward_url="https://example.com/reply",
            numbers=("+18885550199", "72345"),
            senders=("acme_agent",),
            brake_share=1.0,
        ),
        ListConfig(account="acme", number="54321", brake_minimum=50),
        EndpointConfig(
            account="acme",
            id="crm",
            url="https://crm.example.com/trackly",
            secret="env:ACME_WEBHOOK_SECRET",
            events=("delivery", "click"),
            lists=("+18005551234",),
            enabled=False,
            description="the shop's CRM",
            retry_schedule=("1m", "1h"),
            rate_limit=20.0,
            format="cloudevents",
            batch_events=50,
            notify=("ops@crm.example.com",),
            list_rate_limits={"+18005551234": 5.0},
            headers={"Authorization": "env:CRM_TOKEN", "X-Tenant": "7"},
        ),
    ]


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


def test_what_is_left_out_has_its_default() -> None:
    account, endpoint = make_plan(endpoint_with('secret = "env:X"'), Accounts()).configs
    assert account == AccountConfig(id="acme", name="acme")
    assert endpoint == EndpointConfig(
        account="acme",
        id="crm",
        url="https://a.example/",
        secret="env:X",
        events=("delivery", "unsubscribe", "reply"),
        lists=(),
        enabled=True,
    )


MISTAKES = {
    # accounts
    "": "accounts: is missing; start with [[accounts]]",
    'accounts = "acme"': "accounts: is a text, expected an array of tables: write [[accounts]]",
    "accounts = [1]": "accounts[0]: is a whole number, expected a table",
    '[[account]]\nid = "acme"': "account: is not a known setting; did you mean accounts?",
    '[[accounts]]\nname = "Acme"': "accounts[0].id: is missing",
    "[[accounts]]\nid = 7": "accounts[0].id: is a whole number, expected a text",
    '[[accounts]]\nid = "a/b"': (
        'accounts[0].id: "a/b" is not a valid ID: use 1 to 64 letters, digits, dots, underscores, or dashes'
    ),
    account_with("name = 2024-01-15"): "accounts[0].name: is a date or time, expected a text",
    account_with('nmae = "x"'): "accounts[0].nmae: is not a known setting; did you mean name?",
    account_with('trusted_cidrs = "10.0.0.0/8"'): "accounts[0].trusted_cidrs: is a text, expected an array",
    account_with('trusted_cidrs = ["10.0.0.0/8", "10.0.0/8"]'): (
        'accounts[0].trusted_cidrs[1]: "10.0.0/8" is not a valid network; write it as 203.0.113.0/24'
    ),
    account_with("trusted_cidrs = [1.5]"): "accounts[0].trusted_cidrs[0]: is a number, expected a text",
    account_with('discord_webhook_url = "discord"'): (
        "accounts[0].discord_webhook_url: is not a valid web address; write https://…, env:NAME or file:PATH"
    ),
    account_with('registers_messages = "yes"'): "accounts[0].registers_messages: is a text, expected true or false",
    account_with(
        'opt_out_scope = "all"'
    ): 'accounts[0].opt_out_scope: "all" is not a known scope; known are list, account',
    account_with('opt_out_scope_from = "soon"'): (
        'accounts[0].opt_out_scope_from: "soon" is not a valid date; write it as 2027-01-31'
    ),
    account_with("opt_out_scope_from = 2027"): "accounts[0].opt_out_scope_from: is a whole number, expected a date",
    account_with('brake = "on"'): (
        'accounts[0].brake: "on" is not a valid brake; write "off", or { share = 0.1, minimum = 500 }'
    ),
    account_with("brake = 7"): "accounts[0].brake: is a whole number, expected a table",
    account_with("brake = { share = 1.5 }"): "accounts[0].brake.share: 1.5 must be between 0 and 1.0",
    account_with("brake = { minimum = -1 }"): "accounts[0].brake.minimum: -1 must be between 0 and 1000000000",
    account_with("brake = { shar = 0.1 }"): "accounts[0].brake.shar: is not a known setting; did you mean share?",
    account_with("brake_share = 0.1"): "accounts[0].brake_share: is not a known setting; did you mean brake?",
    account_with('[[accounts.lists]]\nnumber = "54321"\nbrake = { share = "all" }'): (
        "accounts[0].lists[0].brake.share: is a text, expected a number"
    ),
    account_with('[[accounts.lists]]\nnumber = "54321"\nsenders = ["12345"]'): (
        'accounts[0].lists[0].senders[0]: "12345" is a number; write it under numbers'
    ),
    account_with('[[accounts.lists]]\nnumber = "54321"\nnumbers = ["Acme"]'): (
        'accounts[0].lists[0].numbers[0]: "Acme" is not a valid phone number; write it as +18005551234'
    ),
    account_with(
        '[[accounts.lists]]\nnumber = "54321"\nsenders = ["Acme"]\n'
        '[[accounts.lists]]\nnumber = "54322"\nsenders = ["ACME"]'
    ): 'accounts[0].lists[1]: "ACME" already belongs to list 54321',
    account_with(
        'callback_secret = "x"'
    ): "accounts[0].callback_secret: is not a known setting; did you mean callbacks?",
    account_with(
        '[accounts.callbacks]\ntoken = "x"'
    ): "accounts[0].callbacks.token: is not a known setting; known are secret",
    account_with('[accounts.callbacks]\nsecret = ""'): (
        "accounts[0].callbacks.secret: is empty; write the secret, env:NAME or file:PATH"
    ),
    account_with('[accounts.callbacks]\nsecret = "whsec_!"'): (
        "accounts[0].callbacks.secret: begins with whsec_, but the rest is not base64"
    ),
    account_with(
        "[accounts.alerts]\nopt_out = false"
    ): "accounts[0].alerts.opt_out: is not a known setting; did you mean opt_outs?",
    account_with('[accounts.alerts]\nbilling = "on"'): "accounts[0].alerts.billing: is a text, expected true or false",
    account_with('[accounts.alerts]\nminimum_severity = "hihg"'): (
        'accounts[0].alerts.minimum_severity: "hihg" is not a known severity; did you mean high?'
    ),
    account_with('[accounts.alerts]\nwebhook_url = "alerts"'): (
        "accounts[0].alerts.webhook_url: is not a valid web address; write https://…, env:NAME or file:PATH"
    ),
    account_with('[accounts.alerts]\nwebhook_secret = "***"'): (
        'accounts[0].alerts.webhook_secret: "***" keeps the stored secret, but there is none;'
        " write the secret, env:NAME or file:PATH"
    ),
    account_with('[accounts.providers.twillio]\nauth_token = "x"'): (
        "accounts[0].providers.twillio: is not a known provider; did you mean twilio?"
    ),
    account_with('[accounts.providers.twilio]\nauth_tokn = "x"'): (
        "accounts[0].providers.twilio.auth_tokn: is not a known credential; did you mean auth_token?"
    ),
    account_with('[accounts.providers.twilio]\nauth_token = ""'): (
        "accounts[0].providers.twilio.auth_token: is empty; write the secret, env:NAME or file:PATH"
    ),
    account_with('[accounts.providers.twilio]\nauth_token = "env:A B"'): (
        "accounts[0].providers.twilio.auth_token: names no environment variable; write env:NAME"
    ),
    account_with(
        '[accounts.postbacks]\ntokn = "x"'
    ): "accounts[0].postbacks.tokn: is not a known setting; did you mean token?",
    account_with('[accounts.postbacks]\ntoken_previous = "x"'): (
        "accounts[0].postbacks.token_previous: is set, but token is not; write token"
    ),
    account_with('[accounts.postbacks]\ntrusted_cidrs = ["10.0.0/8"]'): (
        'accounts[0].postbacks.trusted_cidrs[0]: "10.0.0/8" is not a valid network; write it as 203.0.113.0/24'
    ),
    account_with('trusted_postback_cidrs = ["10.0.0.0/8"]'): (
        "accounts[0].trusted_postback_cidrs: is not a known setting; did you mean trusted_cidrs?"
    ),
    account_with("callback_rate_limit = 0"): "accounts[0].callback_rate_limit: 0 must be between 0.1 and 100000",
    account_with("callback_rate_limit = nan"): "accounts[0].callback_rate_limit: nan must be between 0.1 and 100000",
    account_with("callback_rate_limit = true"): "accounts[0].callback_rate_limit: is true or false, expected a number",
    account_with('callback_rate_limit = "9"'): "accounts[0].callback_rate_limit: is a text, expected a number",
    account_with('codes = { "twilio 30500" = "neutrl" }'): (
        'accounts[0].codes.twilio 30500: "neutrl" is not a known class; did you mean neutral?'
    ),
    account_with('codes = { 30500 = "neutral" }'): (
        'accounts[0].codes.30500: "30500" is not a valid code: '
        f"write a provider ({', '.join(CODED_PROVIDERS)}), a space, and its code"
    ),
    account_with(
        'codes = { "twilio 30500" = 1 }'
    ): "accounts[0].codes.twilio 30500: is a whole number, expected a text",
    account_with('[accounts.opt_out]\noff = ["phrase"]'): (
        'accounts[0].opt_out.off[0]: "phrase" is not a known layer; did you mean phrases?'
    ),
    account_with('[accounts.opt_out]\nphrase = ["x"]'): (
        "accounts[0].opt_out.phrase: is not a known setting; did you mean phrases?"
    ),
    account_with('[accounts.opt_out]\nkeywords = ["🛑"]'): (
        'accounts[0].opt_out.keywords[0]: "🛑" has no letter or digit, so it would never match'
    ),
    account_with(f'[accounts.opt_out]\nphrases = ["{"x" * 101}"]'): (
        "accounts[0].opt_out.phrases[0]: has 101 characters; the maximum is 100"
    ),
    account_with('[accounts.opt_out]\nobfuscations = ["St0p"]'): (
        'accounts[0].opt_out.obfuscations[0]: "St0p" is not a list of look-alikes;'
        " write a letter and its substitutes, as in S=$5"
    ),
    account_with(f"[accounts.opt_out]\nnever = {[str(n) for n in range(501)]}"): (
        "accounts[0].opt_out.never: has 501 words; the maximum is 500"
    ),
    account_with('opt_out_off = ["phrases"]'): "accounts[0].opt_out_off: is not a known setting; did you mean opt_out?",
    account_with("") + account_with(""): 'accounts[1].id: "acme" is already at accounts[0]',
    # lists
    account_with('[[accounts.lists]]\nnumber = "54321"\n[[accounts.lists]]\nnumber = "abc"'): (
        'accounts[0].lists[1].number: "abc" is not a valid phone number; write it as +18005551234'
    ),
    account_with('[[accounts.lists]]\nnumber = "18005551234"'): (
        'accounts[0].lists[0].number: "18005551234" is not a valid phone number; write it as +18005551234'
    ),
    account_with('[[accounts.lists]]\nnumber = "54321"\nretry_threshold = 0'): (
        "accounts[0].lists[0].retry_threshold: 0 must be between 1 and 100"
    ),
    account_with('[[accounts.lists]]\nnumber = "54321"\nretry_threshold = true'): (
        "accounts[0].lists[0].retry_threshold: is true or false, expected a whole number"
    ),
    account_with('[[accounts.lists]]\nnumber = "54321"\n[[accounts.lists]]\nnumber = "54321"'): (
        'accounts[0].lists[1].number: "54321" is already at accounts[0].lists[0]'
    ),
    account_with('[[accounts.lists]]\nnumber = "54321"\nprovider_list_ids = { lime = 1221 }'): (
        "accounts[0].lists[0].provider_list_ids.lime: is a whole number, expected a text"
    ),
    account_with('[[accounts.lists]]\nnumber = "54321"\ndlr_forward_url = "ftp://a.example"'): (
        'accounts[0].lists[0].dlr_forward_url: "ftp://a.example" is not a valid web address;'
        " write it as https://example.com/path"
    ),
    # endpoints
    account_with('[[accounts.endpoints]]\nid = "crm"'): "accounts[0].endpoints[0].url: is missing",
    account_with('[[accounts.endpoints]]\nid = "crm"\nurl = "https://"'): (
        'accounts[0].endpoints[0].url: "https://" is not a valid web address; write it as https://example.com/path'
    ),
    account_with('[[accounts.endpoints]]\nid = "crm"\nurl = "https://u:pw@a.example/"'): (
        "accounts[0].endpoints[0].url: contains a user name or password; addresses are shown and logged,"
        " so leave them out"
    ),
    endpoint_with('events = ["delivery", "replies"]'): (
        'accounts[0].endpoints[0].events[1]: "replies" is not a known event; did you mean reply?'
    ),
    endpoint_with("events = []"): (
        "accounts[0].endpoints[0].events: is empty; choose from delivery, unsubscribe, reply, sent, click,"
        " conversion, removed, restored, endpoint.paused, endpoint.recovered, endpoint.expiring, or leave it out"
    ),
    endpoint_with('events = ["reply", "reply"]'): 'accounts[0].endpoints[0].events[1]: "reply" is listed twice',
    endpoint_with('enabled = "yes"'): "accounts[0].endpoints[0].enabled: is a text, expected true or false",
    endpoint_with('retry_schedule = ["1m", "soon"]'): (
        "accounts[0].endpoints[0].retry_schedule[1]: 'soon' is not a valid duration:"
        " write a number and ms, s, m, h, or d, such as 15m"
    ),
    endpoint_with("rate_limit = 0"): "accounts[0].endpoints[0].rate_limit: 0 must be between 0.01 and 100000",
    endpoint_with('rate_limit = "10"'): "accounts[0].endpoints[0].rate_limit: is a text, expected a number",
    endpoint_with("rate_limit = true"): "accounts[0].endpoints[0].rate_limit: is true or false, expected a number",
    endpoint_with('notify = ["ops"]'): (
        'accounts[0].endpoints[0].notify[0]: "ops" is not a valid email address; write it as ops@example.com'
    ),
    endpoint_with(f"notify = {[f'o{n}@a.example' for n in range(11)]}"): (
        "accounts[0].endpoints[0].notify: has 11 addresses; the maximum is 10"
    ),
    endpoint_with('list_rate_limits = { "+18005551234" = 0 }\n[[accounts.lists]]\nnumber = "+18005551234"'): (
        "accounts[0].endpoints[0].list_rate_limits.+18005551234: 0 must be between 0.01 and 100000"
    ),
    endpoint_with('list_rate_limits = { "+18005551235" = 5 }\n[[accounts.lists]]\nnumber = "+18005551234"'): (
        'accounts[0].endpoints[0].list_rate_limits.+18005551235: "+18005551235" is not a list in account acme;'
        " did you mean +18005551234?"
    ),
    endpoint_with("batch_events = 101"): "accounts[0].endpoints[0].batch_events: 101 must be between 1 and 100",
    endpoint_with('format = "xml"'): (
        'accounts[0].endpoints[0].format: "xml" is not a known format; known are json, cloudevents'
    ),
    endpoint_with('headers = { Webhook-Id = "x" }'): (
        "accounts[0].endpoints[0].headers.Webhook-Id: is set by trackly or by the connection; choose another name"
    ),
    endpoint_with('headers = { "X A" = "x" }'): "accounts[0].endpoints[0].headers.X A: is not a valid header name",
    endpoint_with('headers = { X-A = "a\\nb" }'): (
        "accounts[0].endpoints[0].headers.X-A: is not a valid header value: use ASCII without line breaks"
        " and without spaces around it"
    ),
    endpoint_with('headers = { X-A = "***" }'): (
        'accounts[0].endpoints[0].headers.X-A: "***" keeps the stored secret, but there is none;'
        " write the secret, env:NAME or file:PATH"
    ),
    endpoint_with('secret = ""'): "accounts[0].endpoints[0].secret: is empty; leave it out to have one generated",
    endpoint_with('secret = "whsec_!"'): (
        "accounts[0].endpoints[0].secret: begins with whsec_, but the rest is not base64"
    ),
    endpoint_with('secret = "15 characters.."'): f"accounts[0].endpoints[0].secret: {TOO_SHORT.format(16)}",
    endpoint_with('secret = "whsec_bmV4dG5leHQ="'): f"accounts[0].endpoints[0].secret: {TOO_SHORT.format(16)}",
    account_with('[accounts.callbacks]\nsecret = "s"'): f"accounts[0].callbacks.secret: {TOO_SHORT.format(16)}",
    account_with('[accounts.postbacks]\ntoken = "7 chars"'): f"accounts[0].postbacks.token: {TOO_SHORT.format(8)}",
    account_with('[accounts.providers.cm]\nsecret = "7 chars"'): (
        f"accounts[0].providers.cm.secret: {TOO_SHORT.format(8)}"
    ),
    account_with('[accounts.providers.lime]\npath_secret = "7 chars"'): (
        f"accounts[0].providers.lime.path_secret: {TOO_SHORT.format(8)}"
    ),
    endpoint_with('secret = "***"'): (
        'accounts[0].endpoints[0].secret: "***" keeps the stored secret, but there is none;'
        " write the secret, env:NAME or file:PATH"
    ),
    endpoint_with('lists = ["+18005551235"]\n[[accounts.lists]]\nnumber = "+18005551234"'): (
        'accounts[0].endpoints[0].lists[0]: "+18005551235" is not a list in account acme; did you mean +18005551234?'
    ),
    endpoint_with('[[accounts.endpoints]]\nid = "crm"\nurl = "https://b.example/"'): (
        'accounts[0].endpoints[1].id: "crm" is already at accounts[0].endpoints[0]'
    ),
}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.items(), ids=MISTAKES.values())
def test_a_mistake_is_named_by_its_place(text: str, problem: str) -> None:
    assert problems_of(text) == (problem,)


@pytest.mark.parametrize("name", file.KEPT_FIELDS)
def test_what_trackly_itself_writes_cannot_be_set(name: str) -> None:
    (problem,) = problems_of(endpoint_with(f"{name} = 1"))
    assert problem.startswith(f"accounts[0].endpoints[0].{name}: is not a known setting; ")


def test_what_is_no_toml_is_named_by_its_line() -> None:
    (problem,) = problems_of('[[accounts]]\nid = acme"')
    assert problem.startswith("the file is not valid TOML: ")
    assert "line 2" in problem


def test_all_mistakes_of_a_file_are_reported_at_once() -> None:
    text = account_with('nmae = 1\n[[accounts.lists]]\nnumber = "abc"\nretry_threshold = 101')
    assert len(problems_of(text)) == 3


def test_no_problem_quotes_a_secret() -> None:
    text = (
        account_with(
            'discord_webhook_url = "ftp://s3cret"\n[accounts.providers.lime]\npath_secret = "env:s3cret s3cret"\n'
        )
        + '[[accounts.endpoints]]\nid = "crm"\nurl = "https://u:s3cret/x@a.example"\nsecret = "whsec_s3cret!"'
    )
    problems = problems_of(text)
    assert len(problems) == 4
    assert "s3cret" not in "\n".join(problems)


def test_a_plan_does_not_show_secrets_when_printed() -> None:
    plan = make_plan(endpoint_with(""), Accounts(), generate=lambda: "whsec_czNjcmV0")
    assert "whsec_" not in repr(plan)


@pytest.mark.parametrize("number", ["+18005551234", "+4915112345678", "333", "654321"])
def test_lists_are_numbers_in_e164_or_short_codes(number: str) -> None:
    (_, config) = make_plan(account_with(f'[[accounts.lists]]\nnumber = "{number}"'), Accounts()).configs
    assert config == ListConfig(account="acme", number=number)


@pytest.mark.parametrize("url", ["https://a.example", "https://a.example:8443/x?key=a@b", "https://[2001:db8::1]/"])
def test_endpoints_take_any_web_address(url: str) -> None:
    text = account_with(f'[[accounts.endpoints]]\nid = "crm"\nurl = "{url}"')
    assert [c.url for c in make_plan(text, Accounts()).configs if isinstance(c, EndpointConfig)] == [url]


def test_http_is_taken_with_a_note() -> None:
    text = account_with('[[accounts.endpoints]]\nid = "crm"\nurl = "http://a.example/"')
    assert make_plan(text, Accounts()).notes == (
        "accounts[0].endpoints[0].url: http is not encrypted; sinks use it only if the account has allow_http",
    )


def test_http_that_the_account_allows_is_only_not_encrypted() -> None:
    text = account_with('allow_http = true\n[[accounts.endpoints]]\nid = "crm"\nurl = "http://a.example/"')
    assert make_plan(text, Accounts()).notes == ("accounts[0].endpoints[0].url: http is not encrypted",)


def test_keywords_are_switched_off_with_a_note() -> None:
    assert make_plan(account_with('[accounts.opt_out]\noff = ["keywords"]'), Accounts()).notes == (
        "accounts[0].opt_out.off: without keywords, a reply STOP removes nobody",
    )


def test_words_that_must_remove_are_taken_out_with_a_note() -> None:
    text = account_with('[accounts.opt_out]\nnever = ["Stop", "opt-out", "WRONG", "stop by"]')
    assert make_plan(text, Accounts()).notes == (
        "accounts[0].opt_out.never: a reply OPTOUT removes nobody, but carriers and the law require it",
        "accounts[0].opt_out.never: a reply STOP removes nobody, but carriers and the law require it",
    )


def test_an_endpoint_may_name_a_list_that_is_only_stored() -> None:
    plan = make_plan(endpoint_with('lists = ["+18005551234"]'), view_of(LIST))
    assert [change.action for change in plan.changes] == ["create", "create"]


def test_every_provider_of_trackly_may_have_credentials() -> None:
    assert set(providers.PROVIDERS) <= set(file.CREDENTIALS)


# Secrets


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


# Changes


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


@pytest.mark.parametrize(
    "name",
    ["Host", "connection", "Content-Type", "content-length", "Transfer-Encoding", "webhook-signature",
     "X-Trackly-Signature-Next", "User-Agent", "TE"],
)  # fmt: skip
def test_an_endpoint_cannot_override_the_headers_of_a_webhook(name: str) -> None:
    (problem,) = problems_of(endpoint_with(f'headers = {{ {name} = "x" }}'))
    assert "set by trackly or by the connection" in problem


# Export


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


@settings(max_examples=50)
@given(views())
def test_applying_an_export_changes_nothing(view: Accounts) -> None:
    text = export(view)
    plan = make_plan(text, view)
    assert (plan.configs, plan.untouched) == ([], ())


# Secrets at rest

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


# What commands change


PAUSED = replace(ENDPOINT, enabled=False, paused_reason="gone", paused_at=2)


def test_a_pause_and_a_rotation_survive_an_apply() -> None:
    stored = replace(PAUSED, secret_next="env:NEXT", secret_next_at=1)
    [_, changed] = make_plan(endpoint_with('events = ["reply"]'), view_of(stored)).configs
    assert changed == replace(stored, events=("reply",))


def test_a_secret_that_the_file_changes_ends_a_rotation() -> None:
    stored = replace(ENDPOINT, secret_next="env:NEXT", secret_next_at=1)
    [_, changed] = make_plan(endpoint_with('secret = "env:NEXT"'), view_of(stored)).configs
    assert changed == replace(ENDPOINT, secret="env:NEXT")


@pytest.mark.parametrize("name", file.KEPT_FIELDS)
def test_a_file_cannot_set_what_commands_change(name: str) -> None:
    assert problems_of(endpoint_with(f'{name} = "x"'))[0].startswith(
        f"accounts[0].endpoints[0].{name}: is not a known setting"
    )


OTHER = replace(ENDPOINT, id="old", url="https://old.example/")


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


def test_of_a_list_that_goes_the_plan_says_that_its_opt_outs_go_too() -> None:
    view = view_of(ACCOUNT, LIST, ENDPOINT, OTHER)
    assert make_plan(endpoint_with(""), view, prune=True).notes == (
        "list +18005551234 of account acme goes with its opt-outs: other lists may text those who opted out of it, "
        "even one that takes over its number. Export them first, and import them there",
    )
    assert make_plan(endpoint_with(""), view).notes == ()


@pytest.mark.parametrize("address", ["+18885550199", "AcmeShop"])
def test_of_an_address_that_moves_to_another_list_the_plan_says_that_its_opt_outs_stay(address: str) -> None:
    field = "numbers" if address.startswith("+") else "senders"
    view = view_of(ACCOUNT, replace(LIST, **{field: (address,)}), replace(LIST, number="54321"))
    text = account_with(
        f'[[accounts.lists]]\nnumber = "{LIST.number}"\n[[accounts.lists]]\nnumber = "54321"\n{field} = ["{address}"]'
    )
    assert make_plan(text, view).notes == (
        f'accounts[0].lists[1]: "{address}" moves here from list {LIST.number}, and its opt-outs do not: list 54321 '
        f"may text those who opted out of {LIST.number}, even from that address. Export them, and import them into "
        "list 54321",
    )


def test_of_an_address_that_becomes_a_list_of_its_own_the_plan_says_the_same() -> None:
    view = view_of(ACCOUNT, replace(LIST, number="54321", numbers=("+18885550199",)))
    text = account_with('[[accounts.lists]]\nnumber = "54321"\n[[accounts.lists]]\nnumber = "+18885550199"')
    assert "moves here from list 54321" in make_plan(text, view).notes[0]


def test_an_address_that_stays_with_its_list_or_is_new_needs_no_note() -> None:
    text = account_with(f'[[accounts.lists]]\nnumber = "{LIST.number}"\nnumbers = ["+18885550199", "+18885550198"]')
    assert make_plan(text, view_of(ACCOUNT, replace(LIST, numbers=("+18885550199",)))).notes == ()


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
