"""`trackly demo`: the whole pipeline on this machine, real callbacks in, verified webhooks out, a ledger at the end."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from accounts.model import Config
from accounts.store import write_configs
from bus.embedded.broker import free_port
from bus.reading.topic import BEGINNING
from bus.settings import BusSettings
from console.signin.first import FILE
from schemas.codec import Codec
from schemas.records import AccountConfig, ContactState, EndpointConfig, ListConfig, Record, RejectedRecord
from schemas.registry import registry_for
from trackly.commands.demo.callbacks import ACCOUNT, LIST, PUBLIC_URL, TWILIO_TOKEN, Callback, Traffic, traffic
from trackly.commands.demo.ledger import Ledger, settle
from trackly.commands.demo.receiver import OUTAGE, Receiver
from trackly.commands.up.command import Stack
from trackly.errors import Failed
from trackly.reading import open_topic
from trackly.writing import producing

SCHEDULE = "1s,2s,4s,8s,16s"
PATIENCE = 60.0
"""Seconds without a new webhook after which the demo stops waiting."""


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the demo running afterward, with the console, until Ctrl-C.")
    ] = False,
) -> None:
    """See it work: start a broker, ingest, streams, and sinks on free ports, and send some 500 Infobip and Twilio
    reports and replies through them: batches, repeats, late and malformed ones, STOP, a number that keeps failing.
    The receiver fails at first and verifies every signature. Exits 0 only if everything is accounted for.
    """
    console = Console()
    directory = Path(tempfile.mkdtemp(prefix="trackly-demo-"))
    os.environ |= {
        "TRACKLY_RETRY_SCHEDULE": SCHEDULE,
        "TRACKLY_ALLOW_HTTP": "true",
        "TRACKLY_ALLOW_SUBNETS": "127.0.0.0/8",
        "TRACKLY_PUBLIC_URL": PUBLIC_URL,
        "TRACKLY_TOPIC_PREFIX": f"demo-{secrets.token_hex(3)}.",
    }
    stack = Stack(directory, port=free_port(), console_port=free_port() if keep else None)
    try:
        started = time.monotonic()
        stack.start(lambda text: console.print(f"[dim]{text}[/dim]", highlight=False, soft_wrap=True))
        os.environ |= stack.environment
        console.print(f"everything started in {time.monotonic() - started:.0f} s")
        ledger = asyncio.run(_Run(stack, console, keep).run())
    finally:
        stack.stop()
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
    if keep:
        console.print(f"Records, tables, and logs are in {directory}")
    else:
        console.print("`trackly demo --keep` leaves it running so you can look around in the console.")
    if not ledger.balances:
        raise Failed("Not everything is accounted for; the lines above say what is missing.")


class _Run:
    """One run of the demo against a running stack."""

    def __init__(self, stack: Stack, console: Console, keep: bool) -> None:
        self._keep = keep
        self._stack = stack
        self._console = console
        self._settings = BusSettings()
        self._codec = Codec(registry_for(self._settings.schema_registry_url))
        self._traffic: Traffic = traffic()
        secret = f"whsec_{secrets.token_hex(16)}"
        self._receiver = Receiver(free_port(), secret)
        self._endpoint = EndpointConfig(
            account=ACCOUNT,
            id="receiver",
            url=self._receiver.url,
            secret=secret,
            events=("delivery", "reply", "unsubscribe", "removed"),
        )
        self._posted_callbacks = 0
        self._posted_items = 0

    async def run(self) -> Ledger:
        """Configure, post, wait, settle the ledger, and show it."""
        await self._receiver.start()
        await self._configure()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._stack.port}", timeout=10) as client:
            await self._until_account_is_known(client)
            turned_away = [(what, status, await self._post(client, c)) for what, c, status in self._traffic.turned_away]
            for number, wave in enumerate(self._traffic.waves, 1):
                await self._show_while(self._send(client, wave))
                await self._show_while(self._arrival(number))
            await asyncio.sleep(1)
        rejected = [r for r in await self._records("rejected") if isinstance(r, RejectedRecord)]
        contacts = [r for r in await self._records("contacts") if isinstance(r, ContactState)]
        dead = len(await self._records("webhooks_dead"))
        ledger = settle(self._traffic, self._receiver, rejected, contacts, dead)
        self._console.print(_books(ledger, self._receiver, self._traffic, turned_away))
        for problem in ledger.problems[:20]:
            self._console.print(f"[red]{problem}[/red]", highlight=False)
        wrong_door = [what for what, status, got in turned_away if status != got]
        if wrong_door:
            raise Failed(f"Not refused as expected: {', '.join(wrong_door)}.")
        if self._keep:
            await self._stay()
        await self._receiver.stop()
        return ledger

    async def _stay(self) -> None:
        """Print the console's address, and keep everything running until Ctrl-C or SIGTERM."""
        over = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, over.set)
        link = (self._stack.data / FILE).read_text("utf-8").strip()
        self._console.print(f"The console: {link}", highlight=False, soft_wrap=True)
        self._console.print("The link signs the first admin in, once. Press Ctrl-C to end the demo.")
        self._console.print(
            f"To use other commands with it: export TRACKLY_DATA_DIR={self._stack.data}", soft_wrap=True
        )
        while not over.is_set():
            self._stack.tend()
            try:
                await asyncio.wait_for(over.wait(), 0.5)
            except TimeoutError:
                pass

    async def _configure(self) -> None:
        credentials = {"twilio": {"auth_token": TWILIO_TOKEN}}
        configs: list[Config] = [
            AccountConfig(id=ACCOUNT, name="Demo", providers=credentials),
            ListConfig(account=ACCOUNT, number=LIST, retry_threshold=3),
            self._endpoint,
        ]
        async with producing(self._settings) as producer:
            await write_configs(producer, self._settings, self._codec, configs)

    async def _until_account_is_known(self, client: httpx.AsyncClient) -> None:
        for _ in range(100):
            # Without a signature, a known account answers 403, an unknown one 404.
            answer = await client.post(f"/api/webhook-feedbacks/twilio?account={ACCOUNT}")
            if answer.status_code == 403:
                await asyncio.sleep(1)
                return
            await asyncio.sleep(0.1)
        raise Failed("Ingest does not know the demo account.")

    async def _send(self, client: httpx.AsyncClient, wave: list[Callback]) -> None:
        for callback in wave:
            status = await self._post(client, callback)
            if status != 200:
                raise Failed(f"Ingest answered a callback with {status}, not 200.")
            self._posted_callbacks += 1
            self._posted_items += len(callback.items)

    async def _post(self, client: httpx.AsyncClient, callback: Callback) -> int:
        return (await client.post(callback.path, content=callback.body, headers=callback.headers)).status_code

    async def _arrival(self, waves: int) -> None:
        expected = self._traffic.webhooks(waves)
        seen, since = -1, time.monotonic()
        while not expected <= self._receiver.arrived.keys():
            if len(self._receiver.arrived) != seen:
                seen, since = len(self._receiver.arrived), time.monotonic()
            if time.monotonic() - since > PATIENCE:
                return
            await asyncio.sleep(0.1)

    async def _show_while(self, work: Coroutine[Any, Any, None]) -> None:
        """Show progress meanwhile: a live table or, without a terminal, a line every two seconds."""
        task = asyncio.create_task(work)
        if self._console.is_terminal:
            with Live(console=self._console, get_renderable=self._progress, refresh_per_second=4, transient=True):
                await self._tend_until_done(task, 0.25)
            return
        while not task.done():
            await self._tend_until_done(task, 2.0, turns=1)
            self._console.print("; ".join(f"{what.strip()}: {count}" for what, count in self._counts()), soft_wrap=True)
        await task

    async def _tend_until_done(self, task: asyncio.Task[None], every: float, turns: int = 1_000_000) -> None:
        for _ in range(turns):
            self._stack.tend()
            done, _ = await asyncio.wait([task], timeout=every)
            if done:
                await task
                return

    def _counts(self) -> list[tuple[str, str]]:
        receiver, total = self._receiver, len(self._traffic.webhooks())
        return [
            ("callbacks posted", str(self._posted_callbacks)),
            ("reports and replies in them", f"{self._posted_items} of {len(self._traffic.items)}"),
            ("attempts failed on purpose", str(receiver.failed_on_purpose)),
            ("webhooks verified", f"{len(receiver.arrived)} of {total}"),
            ("  after a retry", str(len(receiver.retried()))),
        ]

    def _progress(self) -> Table:
        table = Table(show_header=False, box=None)
        for what, count in self._counts():
            table.add_row(what, count)
        return table

    async def _records(self, topic: str) -> list[Record]:
        name = self._settings.catalogue[topic].name
        async with open_topic(self._settings, name, BEGINNING) as source:
            return [self._codec.decode(record.value) async for record in source.rest()]


def _books(ledger: Ledger, receiver: Receiver, traffic: Traffic, turned_away: list[tuple[str, int, int]]) -> Table:
    table = Table(title="The outcome of every report and reply", show_header=False, min_width=60)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("Reports and replies posted (all answered 200)", f"[bold]{ledger.posted}[/bold]")
    table.add_section()
    table.add_row("Webhook delivered on the first attempt", str(ledger.delivered_at_once))
    table.add_row("Webhook delivered after a retry", str(ledger.delivered_after_retries))
    table.add_row("Rejected: unreadable, kept with the reason", str(ledger.rejected))
    table.add_row("No webhook: a repeat, or too late to matter", str(ledger.nothing_new))
    table.add_section()
    verdict = "[green]yes[/green]" if ledger.balances else "[red]no[/red]"
    table.add_row("Everything accounted for", verdict)
    table.add_section()
    table.add_row("Webhooks received, every signature verified", str(len(receiver.arrived)))
    table.add_row("  of which removals caused by several reports", str(len(traffic.of_several_items)))
    table.add_row(
        f"  attempts the receiver failed on purpose (503, first {OUTAGE:.0f} s)", str(receiver.failed_on_purpose)
    )
    table.add_row("  duplicates (allowed; same webhook-id)", str(receiver.unexpected_repeats))
    table.add_row("Contacts removed: must not be texted again", str(len(traffic.removed)))
    for what, _, got in turned_away:
        table.add_row(f"Refused: {what}", f"HTTP {got}")
    return table
