import { AccountApi, Configuration, ResponseError, SendingApi, WebhooksApi } from "./sdk";

const configured = (key: string) =>
  new Configuration({ basePath: process.env.TRACKLY_URL, headers: { "X-Api-Key": key } });

async function statusOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ResponseError) return [error.response.status, (await error.response.json()).code];
    throw error;
  }
  return null;
}

async function main() {
  const mine = configured(process.env.TRACKLY_KEY!);
  const account = await new AccountApi(mine).getAccount();
  const registered = await new SendingApi(mine).register({
    idempotencyKey: "batch-1",
    messages: {
      messages: [
        {
          messageId: "order-4711",
          provider: "infobip",
          providerMessageId: "ib-1",
          listNumber: "+18005551234",
          to: "+15551230001",
          partCount: 1,
          uniqueArgs: { order: "ü-7" },
          sentAt: new Date("2026-11-20T10:15:00Z"),
        },
      ],
    },
  });
  const question = { listNumber: "+18005551234", numbers: ["+15551230001", "+15551230002"] };
  const answers = await new SendingApi(mine).check({ question });
  const webhooks = new WebhooksApi(mine);
  const made = await webhooks.createEndpoint({
    newEndpoint: { id: "sdk", url: "https://sdk.example.com/trackly", events: ["reply"] },
  });
  const endpoints = await webhooks.getEndpoints();
  const seen = {
    account: [account.id, account.lists.map((each) => each.number)],
    registered: registered.accepted,
    answers: answers.contacts.map((each) => [each.number, each.mayBeTexted, each.reason ?? null]),
    made: [made.endpoint.id, made.secret!.startsWith("whsec_"), made.endpoint.rateLimit ?? null],
    endpoints: endpoints.data.map((each) => each.id).sort(),
    "no such endpoint": await statusOf(webhooks.getEndpoint({ endpoint: "nobody" })),
    "wrong key": await statusOf(new AccountApi(configured("trk_wrong")).getAccount()),
  };
  console.log(JSON.stringify(seen));
}

main();
