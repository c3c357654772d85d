import json
import os
from datetime import UTC, datetime

import trackly_sdk as sdk


def client(key):
    made = sdk.ApiClient(sdk.Configuration(host=os.environ["TRACKLY_URL"]))
    made.set_default_header("X-Api-Key", key)
    return made


def status_of(call, *arguments):
    try:
        call(*arguments)
    except sdk.ApiException as error:
        return [error.status, json.loads(error.body)["code"]]


mine = client(os.environ["TRACKLY_KEY"])
account = sdk.AccountApi(mine).get_account()
message = sdk.Message(
    message_id="order-4711",
    provider="infobip",
    provider_message_id="ib-1",
    list_number="+18005551234",
    to="+15551230001",
    part_count=1,
    unique_args={"order": "ü-7"},
    sent_at=datetime(2026, 11, 20, 10, 15, tzinfo=UTC),
)
registered = sdk.SendingApi(mine).register(sdk.Messages(messages=[message]), idempotency_key="batch-1")
question = sdk.Question(list_number="+18005551234", numbers=["+15551230001", "+15551230002"])
answers = sdk.SendingApi(mine).check(question)
webhooks = sdk.WebhooksApi(mine)
made = webhooks.create_endpoint(sdk.NewEndpoint(id="sdk", url="https://sdk.example.com/trackly", events=["reply"]))
seen = {
    "account": [account.id, [each.number for each in account.lists]],
    "registered": registered.accepted,
    "answers": [[each.number, each.may_be_texted, each.reason] for each in answers.contacts],
    "made": [made.endpoint.id, made.secret.startswith("whsec_"), made.endpoint.rate_limit],
    "endpoints": sorted(each.id for each in webhooks.get_endpoints().data),
    "no such endpoint": status_of(webhooks.get_endpoint, "nobody"),
    "wrong key": status_of(sdk.AccountApi(client("trk_wrong")).get_account),
}
print(json.dumps(seen))
