"""Email notices: their content, and delivery to an SMTP server (RFC 5321, RFC 5322)."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as MAIL_FORM
from email.utils import formatdate

from accounts.model import Accounts
from outbound.redaction import without_query
from schemas.cloudevents import iso_time
from schemas.records import EndpointAlert, EndpointConfig

SECONDS = 10.0
"""Seconds that a server may be silent."""

SUBJECTS = {
    "endpoint.paused": "Your webhook endpoint {} is paused",
    "endpoint.expiring": "Webhooks for your paused endpoint {} expire soon",
    "endpoint.recovered": "Your webhook endpoint {} answers again",
}
"""Subjects by event; `sms.alerts` has no others about endpoints."""

REASONS = {
    "failing": "it failed many times in a row",
    "gone": "it answered 410 Gone",
    "receiver": "its answer asked for it (webhook-delivery: disable)",
    "operator": "whoever sends you these webhooks paused it",
    "customer": "you paused it",
    "disabled": "whoever sends you these webhooks disabled it",
}

_WHAT_NOW = {
    "endpoint.paused": "Nothing is sent to it until it is resumed, and nothing is lost: webhooks wait for "
    "{days:g} days. Fix it, then resume it, or ask whoever sends you these webhooks to resume it.",
    "endpoint.expiring": "Its oldest waiting webhooks will be given up within a day. Fix it, and have it resumed.",
    "endpoint.recovered": "Waiting webhooks are sent as their delays end. There is nothing to do.",
}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """An SMTP server. `tls` is `starttls`, `tls`, or `none`."""

    host: str
    port: int
    tls: str
    user: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    context: ssl.SSLContext | None = field(default=None, repr=False)


def notice_of(
    alert: EndpointAlert, endpoint: EndpointConfig, accounts: Accounts, sender: str, days: float
) -> EmailMessage | None:
    """Return the notice for an endpoint's addresses; None if it has none, or such an event sends no notice.

    It concerns only this endpoint. `days`: how long webhooks of a paused endpoint are kept.
    """
    if not endpoint.notify or alert.event not in SUBJECTS:
        return None
    account = accounts.accounts.get(alert.account)
    facts = {
        "Endpoint": endpoint.id,
        "URL": without_query(endpoint.url),
        "From": alert.account if account is None else account.name,
        "Reason": REASONS.get(alert.reason, alert.reason),
        "Last error": alert.error,
        "Failures in a row": str(alert.failures) if alert.failures else None,
        "Since": iso_time(alert.since),
    }
    lines = [f"{name}: {_line(value)}" for name, value in facts.items() if value]
    message = EmailMessage(policy=MAIL_FORM)
    message["Subject"] = SUBJECTS[alert.event].format(endpoint.id)
    message["From"] = sender
    message["To"] = ", ".join(endpoint.notify)
    message["Date"] = formatdate(alert.timestamp / 1_000)
    # The same for repeats, so that mailboxes group them.
    message["Message-ID"] = f"<{alert.event_id}.{endpoint.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office reply
    now = _WHAT_NOW[alert.event].format(days=days)
    message.set_content("\n".join([f"{message['Subject']}.", "", *lines, "", now, ""]))
    return message


def send(server: SmtpServer, message: EmailMessage, recipients: Sequence[str]) -> None:
    """Send a message, blocking. Raises OSError and smtplib.SMTPException, which is one.

    Without the requested TLS, nothing is sent, not even the password.
    """
    context = server.context or ssl.create_default_context()
    connection: smtplib.SMTP
    if server.tls == "tls":
        connection = smtplib.SMTP_SSL(server.host, server.port, timeout=SECONDS, context=context)
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=SECONDS)
    with connection:
        if server.tls == "starttls":
            connection.starttls(context=context)
        if server.user:
            connection.login(server.user, server.password)
        connection.send_message(message, from_addr=server.sender, to_addrs=list(recipients))


def may_pass(error: OSError) -> bool:
    """Whether a retry may succeed: not if the server has refused permanently (5yz), or lacks TLS."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return any(code < 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code < 500
    return not isinstance(error, smtplib.SMTPNotSupportedError | ssl.SSLCertVerificationError)


def _line(value: str) -> str:
    return " ".join(value.split())[:500]
