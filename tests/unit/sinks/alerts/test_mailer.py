"""Notices of pauses by email: to the endpoint's own addresses, at a bounded pace, over an SMTP server on loopback."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from typing import Any

import pytest

from accounts.model import Accounts
from outbound.mail import SmtpServer, may_pass, notice_of, send
from schemas.records import AccountConfig, EndpointAlert
from sinks.alerts.mailer import AN_HOUR, OF_ALL_A_MINUTE, WAITS, Mailer
from sinks.settings import SinksSettings
from tests.clock import START, MovedClock, settled
from tests.unit.sinks.sink_parts import endpoint

SENDER = "noreply@sender.example"
OPS = "ops@crm.example"


def alert(event: str = "endpoint.paused", **changes: Any) -> EndpointAlert:
    values: dict[str, Any] = {"endpoint": "crm", "reason": "failing", "error": "503", "failures": 100}
    return EndpointAlert(
        event_id="evt_1", account="acme", event=event, since=START, timestamp=START, **(values | changes)
    )


def accounts_with(**changes: Any) -> Accounts:
    accounts = Accounts()
    accounts.put(AccountConfig(id="acme", name="Acme Media"))
    accounts.put(endpoint(**({"notify": (OPS,), "description": "of the shop"} | changes)))
    accounts.put(endpoint("other", notify=("boss@other.example",)))
    return accounts


@dataclass
class Mailbox:
    """An SMTP server. `answers` are given to MAIL FROM, the last one repeatedly."""

    answers: list[str] = field(default_factory=lambda: ["250 ok"])
    offers: tuple[str, ...] = ()
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipients: list[str] = []
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode().strip():
            self.said.append(line)
            verb = line.split()[0].upper()
            if verb == "EHLO":
                names = ["here", *self.offers]
                text = "".join(f"250{'-' if name != names[-1] else ' '}{name}\r\n" for name in names)
                writer.write(text.encode())
            elif verb == "MAIL":
                writer.write(f"{self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]}\r\n".encode())
            elif verb == "RCPT":
                recipients.append(line.partition("<")[2].partition(">")[0])
                writer.write(b"250 ok\r\n")
            elif verb == "DATA":
                writer.write(b"354 go\r\n")
                raw = await reader.readuntil(b"\r\n.\r\n")
                found = message_from_bytes(raw[:-5], policy=policy.default)
                assert isinstance(found, EmailMessage)
                self.mails.append((recipients, found))
                writer.write(b"250 taken\r\n")
            else:
                writer.write(b"221 bye\r\n")
        writer.close()


@asynccontextmanager
async def mailbox(**settings: Any) -> AsyncIterator[Mailbox]:
    box = Mailbox(**settings)
    server = await asyncio.start_server(box.serve, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    async with server:
        yield box


def to(box: Mailbox, **changes: Any) -> SmtpServer:
    values: dict[str, Any] = {"host": "127.0.0.1", "port": box.port, "tls": "none", "sender": SENDER}
    return SmtpServer(**(values | changes))


class House:
    """A mailer whose clock the test moves. `ends` are raised, one per message; None accepts it."""

    def __init__(self, *ends: OSError | None, **changes: Any) -> None:
        self.clock = MovedClock()
        self.accounts = accounts_with(**changes)
        self.sent: list[tuple[EmailMessage, tuple[str, ...]]] = []
        self.ends = list(ends)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.mailer = Mailer(self.send, self.accounts, self.clock, sender=SENDER, days=7, counts=self.counts)

    def send(self, message: EmailMessage, recipients: tuple[str, ...]) -> None:
        end = self.ends.pop(0) if self.ends else None
        self.sent.append((message, recipients))
        if end is not None:
            raise end


async def test_a_pause_reaches_the_addresses_of_its_endpoint_by_smtp() -> None:
    async with mailbox() as box:
        accounts, counts = accounts_with(notify=(OPS, "two@crm.example")), Counter[tuple[str, str]]()
        mailer = Mailer(partial(send, to(box)), accounts, MovedClock(), sender=SENDER, days=7, counts=counts)
        await mailer.tell(alert())
    [(recipients, mail)] = box.mails
    assert recipients == [OPS, "two@crm.example"]
    assert (mail["Subject"], mail["From"]) == ("Your webhook endpoint crm is paused", SENDER)
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_content()
    for told in ("Endpoint: crm", "URL: https://crm.example.com/hook", "From: Acme Media", "Last error: 503"):
        assert told in text
    assert "many times in a row" in text
    assert "7 days" in text
    assert counts == {("email", "told"): 1}


@pytest.mark.parametrize("event", ["endpoint.paused", "endpoint.expiring", "endpoint.recovered"])
def test_a_notice_says_nothing_of_others_and_no_secret(event: str) -> None:
    url = "https://crm.example.com/hook?token=t0p-s3cret"
    accounts = accounts_with(url=url)
    message = notice_of(alert(event), accounts.endpoints["acme/crm"], accounts, SENDER, 7)
    assert message is not None
    assert not any(hidden in message.as_string() for hidden in ("t0p-s3cret", "whsec_", "other", "of the shop"))


def test_who_names_no_address_is_told_nothing() -> None:
    accounts = accounts_with(notify=())
    assert notice_of(alert(), accounts.endpoints["acme/crm"], accounts, SENDER, 7) is None


def test_what_an_answer_or_an_account_says_adds_no_header_and_no_line() -> None:
    accounts = accounts_with()
    accounts.put(AccountConfig(id="acme", name="Acme\r\nBcc: all@x.example\r\n\r\nPay here"))
    message = notice_of(alert(error="5\n\n03"), accounts.endpoints["acme/crm"], accounts, SENDER, 7)
    assert message is not None
    assert message["Bcc"] is None
    assert "From: Acme Bcc: all@x.example Pay here\n" in message.get_content().replace("\r\n", "\n")


async def test_the_same_notice_has_the_same_id() -> None:
    house = House()
    await house.mailer.tell(alert())
    await house.mailer.tell(alert())
    assert len({message["Message-ID"] for message, _ in house.sent}) == 1


@pytest.mark.parametrize("error", [ConnectionRefusedError(), smtplib.SMTPResponseException(451, b"later")])
async def test_a_server_that_cannot_now_is_asked_again(error: OSError) -> None:
    house = House(error, error, None)
    telling = asyncio.ensure_future(house.mailer.tell(alert()))
    for wait in WAITS[:2]:
        await _in_threads(telling)
        await house.clock.move(wait)
    await telling
    assert (len(house.sent), house.counts) == (3, {("email", "told"): 1})


async def test_a_server_that_stays_away_is_given_up() -> None:
    house = House(*[ConnectionRefusedError()] * 9)
    telling = asyncio.ensure_future(house.mailer.tell(alert()))
    for wait in WAITS:
        await _in_threads(telling)
        await house.clock.move(wait)
    await telling
    assert (len(house.sent), house.counts) == (len(WAITS) + 1, {("email", "ConnectionRefusedError"): 1})


async def test_what_a_server_refuses_for_good_is_given_up_at_once() -> None:
    async with mailbox(answers=["550 no"]) as box:
        counts = Counter[tuple[str, str]]()
        mailer = Mailer(partial(send, to(box)), accounts_with(), MovedClock(), sender=SENDER, days=7, counts=counts)
        await mailer.tell(alert())
    assert counts == {("email", "550"): 1}


async def test_without_the_tls_that_is_asked_for_neither_password_nor_notice_is_sent() -> None:
    async with mailbox(offers=("AUTH PLAIN LOGIN",)) as box:
        counts = Counter[tuple[str, str]]()
        server = to(box, tls="starttls", user="u", password="p4ssw0rd")
        mailer = Mailer(partial(send, server), accounts_with(), MovedClock(), sender=SENDER, days=7, counts=counts)
        await mailer.tell(alert())
    assert counts == {("email", "SMTPNotSupportedError"): 1}
    assert {line.split()[0].upper() for line in box.said} <= {"EHLO", "QUIT"}


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (TimeoutError(), True),
        (smtplib.SMTPServerDisconnected(), True),
        (smtplib.SMTPAuthenticationError(535, b"no"), False),
        (smtplib.SMTPRecipientsRefused({OPS: (450, b"later")}), True),
        (smtplib.SMTPRecipientsRefused({OPS: (550, b"no")}), False),
        (ssl.SSLCertVerificationError(), False),
    ],
)
def test_which_errors_another_attempt_may_end(error: OSError, may: bool) -> None:
    assert may_pass(error) is may


async def test_an_endpoint_that_falters_is_told_of_a_few_times_an_hour() -> None:
    house = House()
    for _ in range(AN_HOUR + 3):
        await house.mailer.tell(alert())
    assert house.counts == {("email", "told"): AN_HOUR, ("email", "limited"): 3}
    await house.clock.move(3_600 / AN_HOUR)
    await house.mailer.tell(alert())
    assert len(house.sent) == AN_HOUR + 1


async def test_all_endpoints_together_are_bounded_too() -> None:
    house = House()
    for number in range(OF_ALL_A_MINUTE + 5):
        house.accounts.put(endpoint(f"e{number}", notify=(OPS,)))
        await house.mailer.tell(alert(endpoint=f"e{number}"))
    assert house.counts[("email", "limited")] == 5


async def test_an_endpoint_that_is_gone_by_then_is_told_nothing() -> None:
    house = House()
    house.accounts.drop("config_endpoints", "acme/crm")
    assert not house.mailer.wants(alert())
    await house.mailer.tell(alert())
    assert house.sent == []


@pytest.mark.parametrize(
    "settings",
    [
        {"smtp_host": "mail.example"},
        {"smtp_host": "mail.example", "mail_from": "nobody"},
        {"smtp_host": "mail.example", "mail_from": SENDER, "smtp_user": "u"},
        {"smtp_host": "mail.example", "mail_from": SENDER, "smtp_user": "u", "smtp_password": "p", "smtp_tls": "none"},
    ],
)
def test_settings_of_mail_that_cannot_work_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"TRACKLY_|email"):
        SinksSettings(bootstrap_servers="unused:9092", **settings)


async def _in_threads(telling: asyncio.Future[None]) -> None:
    """Let a send in a thread end, and the mailer go to sleep."""
    for _ in range(40):
        await asyncio.sleep(0.005)
        await settled()
        if telling.done():
            return
