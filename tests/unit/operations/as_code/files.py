"""Files of accounts as code, and the settings that they meet."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from accounts.model import Accounts
from operations.as_code.plan import PlanError, make_plan
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


OTHER = replace(ENDPOINT, id="old", url="https://old.example/")


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
