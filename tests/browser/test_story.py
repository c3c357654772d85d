"""The main stories of the console, in a real browser against real services and a real Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from starlette.requests import Request
from starlette.responses import Response

from accounts.secrets import new_key
from bus.settings import BusSettings
from console.signin.first import FILE
from outbound.signing import Signer
from schemas.records import AccountConfig, ListConfig
from tests.cluster import Cluster
from tests.http_servers import served

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

LIST, SAMPLE_NUMBER = "+18005551234", "+12025550199"
SECRET = "callbacksecret"
PATIENCE = 60_000


class Receiver:
    """A customer's endpoint that can be broken; keeps what it received."""

    def __init__(self) -> None:
        self.status = 200
        self.taken: list[tuple[dict[str, str], bytes]] = []

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        request = Request(scope, receive)  # type: ignore[arg-type]
        body = await request.body()
        if self.status == 200:
            self.taken.append((dict(request.headers), body))
        await Response("broken" if self.status != 200 else "ok", self.status)(scope, receive, send)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture(scope="module")
def address(receiver: Receiver) -> Iterator[str]:
    with served(receiver) as url:
        yield url


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("story")
    settings = BusSettings(
        bootstrap_servers=broker,
        topic_prefix=f"story{time.time_ns()}.",
        partitions=2,
        retry_schedule=("1s", "2s"),
        data_dir=directory,
    )
    account = AccountConfig(id="acme", name="Acme", providers={"cm": {"secret": SECRET}})
    with Cluster(settings, directory, TRACKLY_SECRET_KEYS=new_key()) as cluster:
        asyncio.run(cluster.configure([account, ListConfig(account="acme", number=LIST)]))
        cluster.start("ingest", "streams-1", "sinks-1", "console-1", "read-model")
        cluster.wait_ready()
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("dialog", lambda dialog: dialog.accept())
    yield page
    await context.close()


def post_samples(cluster: Cluster) -> None:
    """Post a callback of each kind: delivered, failed, a reply, and an opt-out of one number."""
    ingest = f"http://127.0.0.1:{cluster.ingest_port}"
    done = cluster.trackly("providers", "test", "cm", "--account", "acme", "--url", ingest, "--yes")
    assert done.returncode == 0, done.stderr


async def go(page: Page, place: str) -> None:
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name=place, exact=True).click()


async def until_shown(page: Page, text: str) -> None:
    """Reload the page until it has the text: pages lag behind the pipeline."""
    deadline = time.monotonic() + PATIENCE / 1000
    while await page.locator("main").get_by_text(text).count() == 0:
        assert time.monotonic() < deadline, f"{text!r} is not on {page.url}: {await page.locator('main').inner_text()}"
        await page.wait_for_timeout(500)
        await page.reload()


async def test_1_the_first_admin_signs_in_by_the_link_of_the_file(cluster: Cluster, page: Page) -> None:
    log = (Path(cluster.settings.data_dir) / "console-1.log").read_text("utf-8")
    file = Path(cluster.settings.data_dir) / FILE
    assert str(file) in log
    assert "/welcome/" not in log
    await page.goto(file.read_text("utf-8").strip())
    await page.get_by_label("New password").fill("a long enough sentence")
    await page.get_by_role("button", name="Set password and sign in").click()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    await expect(page.get_by_text("Three steps to the first event")).to_be_visible()


async def test_2_an_endpoint_is_created_and_its_secret_shown_once(address: str, page: Page) -> None:
    await go(page, "Webhooks")
    await page.get_by_role("link", name="Create the first one").click()
    await page.get_by_label("Name").fill("crm")
    await page.get_by_label("URL").fill(f"{address}/hook")
    await page.get_by_role("button", name="Create").click()
    assert (await page.locator("#secret").inner_text()).startswith("whsec_")


async def test_3_a_test_is_answered_and_verifies(receiver: Receiver, page: Page) -> None:
    secret = await page.locator("#secret").inner_text()
    await page.get_by_role("button", name="Send it now").click()
    await expect(page.get_by_role("heading", name="Test result: 2xx")).to_be_visible()
    headers, body = receiver.taken[-1]
    expected = Signer(secret).headers(headers["webhook-id"], body, int(headers["webhook-timestamp"]))
    assert headers["x-trackly-signature"] == expected["X-Trackly-Signature"]


async def test_4_a_broken_receiver_is_seen_in_attempts_retries_and_dead_letters(
    cluster: Cluster, receiver: Receiver, page: Page
) -> None:
    receiver.status = 500
    await asyncio.to_thread(post_samples, cluster)
    await go(page, "Attempts")
    await until_shown(page, "5xx")
    await go(page, "Dead letters")
    await until_shown(page, "http_status 500")


async def test_5_a_message_is_traced_from_the_callback_to_the_webhook(page: Page) -> None:
    await go(page, "Deliveries")
    await until_shown(page, "delivered")
    await page.locator("main table a").first.click()
    await expect(page.locator(".trace")).to_contain_text("crm")


async def test_6_dead_letters_are_sent_again_and_taken(receiver: Receiver, page: Page) -> None:
    receiver.status = 200
    before = len(receiver.taken)
    await go(page, "Dead letters")
    await page.get_by_role("link", name="Send these again").click()
    await page.get_by_role("button", name="Send them again").click()
    await expect(page.get_by_role("heading", name="Replays")).to_be_visible()
    await until_shown(page, "done")
    deadline = time.monotonic() + PATIENCE / 1000
    while len(receiver.taken) == before:
        assert time.monotonic() < deadline
        await page.wait_for_timeout(200)


async def test_7_a_contact_is_found_with_the_reason_and_restored(page: Page) -> None:
    await go(page, "Contacts")
    await page.get_by_label("Look up a number").fill("1 202 555 0199")
    await page.get_by_role("button", name="Look up").click()
    await until_shown(page, "removed")
    await expect(page.locator("main")).to_contain_text("message")
    await page.get_by_label("Why it may be texted again").fill("She called and asked for it")
    await page.get_by_label("The contact agreed to be texted again.").check()
    await page.get_by_role("button", name="Restore").click()
    await until_shown(page, "active")


async def test_8_a_secret_is_rotated_and_both_sign(receiver: Receiver, page: Page) -> None:
    await go(page, "Webhooks")
    await page.get_by_role("link", name="crm").click()
    await page.get_by_role("button", name="Create a new secret").click()
    assert (await page.locator("#secret").inner_text()).startswith("whsec_")
    await page.get_by_role("button", name="Send it now").click()
    await expect(page.get_by_role("heading", name="Test result: 2xx")).to_be_visible()
    assert receiver.taken[-1][0]["webhook-signature"].count("v1,") == 2


async def test_9_everything_that_was_changed_is_in_the_audit_log(page: Page) -> None:
    await go(page, "Audit")
    for action in ("endpoint.create", "endpoint.test", "replay.order", "endpoint.rotate"):
        await until_shown(page, action)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
