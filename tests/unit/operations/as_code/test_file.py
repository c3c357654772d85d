"""What a file says, and what is wrong with it."""

from __future__ import annotations

import pytest

import providers
from accounts.model import Accounts
from operations.as_code import file
from operations.as_code.plan import make_plan
from operations.codes import CODED_PROVIDERS
from schemas.records import AccountConfig, EndpointConfig, ListConfig
from tests.unit.operations.as_code.files import TOO_SHORT, WHOLE, account_with, endpoint_with, problems_of


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
    account_with('[accounts.providers.twilio]\nauth_token = " ***"'): (
        "accounts[0].providers.twilio.auth_token: consists of stars; write the secret, or *** to keep the stored one"
    ),
    endpoint_with('headers = { X-A = "*****" }'): (
        "accounts[0].endpoints[0].headers.X-A: consists of stars; write the secret, or *** to keep the stored one"
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


@pytest.mark.parametrize("number", ["+18005551234", "+4915112345678", "333", "654321"])
def test_lists_are_numbers_in_e164_or_short_codes(number: str) -> None:
    (_, config) = make_plan(account_with(f'[[accounts.lists]]\nnumber = "{number}"'), Accounts()).configs
    assert config == ListConfig(account="acme", number=number)


@pytest.mark.parametrize("url", ["https://a.example", "https://a.example:8443/x?key=a@b", "https://[2001:db8::1]/"])
def test_endpoints_take_any_web_address(url: str) -> None:
    text = account_with(f'[[accounts.endpoints]]\nid = "crm"\nurl = "{url}"')
    assert [c.url for c in make_plan(text, Accounts()).configs if isinstance(c, EndpointConfig)] == [url]


def test_every_provider_of_trackly_may_have_credentials() -> None:
    assert set(providers.PROVIDERS) <= set(file.CREDENTIALS)


@pytest.mark.parametrize(
    "name",
    ["Host", "connection", "Content-Type", "content-length", "Transfer-Encoding", "webhook-signature",
     "X-Trackly-Signature-Next", "User-Agent", "TE"],
)  # fmt: skip
def test_an_endpoint_cannot_override_the_headers_of_a_webhook(name: str) -> None:
    (problem,) = problems_of(endpoint_with(f'headers = {{ {name} = "x" }}'))
    assert "set by trackly or by the connection" in problem
