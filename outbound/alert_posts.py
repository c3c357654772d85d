"""Alerts in the formats of the channels: Discord, Slack, and trackly's own JSON. Pure functions.

https://docs.discord.com/developers/resources/webhook#execute-webhook
https://docs.discord.com/developers/topics/rate-limits
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from accounts.alerts import Severity
from outbound.outcomes import Outcome
from outbound.signing import Signer
from schemas.cloudevents import iso_time

COLORS: Mapping[Severity, int] = {
    Severity.LOW: 0x868E96,
    Severity.MEDIUM: 0xE8A317,
    Severity.HIGH: 0xD9480F,
    Severity.CRITICAL: 0xC2255C,
}
"""Color of a message's edge. The message also states the severity in words."""

DISCORD_CHARACTERS, DISCORD_EMBEDS = 6_000, 10
"""Maximum characters of all embeds of a message, and maximum number of embeds."""

DISCORD_TITLE, DISCORD_VALUE = 256, 1_024

# https://support.discord.com/hc/en-us/articles/210298617. Within a word, such as a provider's code, an underscore has
# no effect.
_DISCORD_MARKS = re.compile(r"([\\*~`|>#<\[\]()]|(?<![^\W_])_|_(?![^\W_]))")

SLACK_ATTACHMENTS = 10
"""Maximum attachments of a message; Slack advises no more than 20."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert to send. Times are in ms since 1970 UTC; `facts` are short texts by name."""

    event_id: str
    account: str
    type: str
    severity: Severity
    title: str
    facts: Mapping[str, str]
    count: int
    since: int
    at: int

    @property
    def text(self) -> str:
        """Return the facts in one line."""
        return "; ".join(f"{name}: {value}" for name, value in self.facts.items())


class Post(NamedTuple):
    """An alert request: its headers besides those of every request, and its body."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Format:
    """A channel's format.

    `fits` returns how many of the first notices fit in one post; `post` creates it, with the secret that signs it.
    `gap` is the seconds between two posts to one address. `wait` reads from an answer how many seconds to pause, and
    whether that applies to all addresses of the channel.
    """

    fits: Callable[[Sequence[Notice]], int]
    post: Callable[[Sequence[Notice], str | None, int], Post]
    gap: float
    wait: Callable[[Outcome], tuple[float, bool]]


def _retry_after(outcome: Outcome) -> tuple[float, bool]:
    return outcome.retry_after or 0.0, False


def _discord_fits(notices: Sequence[Notice]) -> int:
    size = number = 0
    for notice in notices[:DISCORD_EMBEDS]:
        size += _discord_size(_embed(notice))
        if number and size > DISCORD_CHARACTERS:
            break
        number += 1
    return number


def _discord_size(embed: Mapping[str, Any]) -> int:
    fields = sum(len(field["name"]) + len(field["value"]) for field in embed["fields"])
    return len(embed["title"]) + len(embed["footer"]["text"]) + fields


def _discord_post(notices: Sequence[Notice], secret: str | None, at: int) -> Post:
    # Mention nobody, whatever a provider or a recipient wrote.
    return Post({}, orjson.dumps({"embeds": [*map(_embed, notices)], "allowed_mentions": {"parse": []}}))


def _embed(notice: Notice) -> dict[str, Any]:
    return {
        "title": _unformatted(notice.title, DISCORD_TITLE),
        "color": COLORS[notice.severity],
        "fields": [
            {
                "name": _unformatted(name, DISCORD_TITLE),
                "value": _unformatted(value, DISCORD_VALUE),
                "inline": notice.count == 1,
            }
            for name, value in notice.facts.items()
        ],
        "footer": {"text": f"{str(notice.severity).capitalize()} · {notice.account}"},
        "timestamp": iso_time(notice.at),
    }


def _unformatted(text: str, most: int) -> str:
    """Return a text of at most `most` characters that Discord shows literally: no hidden links, no mentions."""
    shown: list[str] = []
    left = most
    for piece in _DISCORD_MARKS.split(text):
        part = f"\\{piece}" if _DISCORD_MARKS.fullmatch(piece) else piece
        if len(part) > left:
            return "".join(shown) + (part[:left] if part is piece else "")
        shown.append(part)
        left -= len(part)
    return "".join(shown)


def _discord_wait(outcome: Outcome) -> tuple[float, bool]:
    """A 429's body is exact, `{"retry_after": seconds, "global": false}`; the header is rounded up."""
    try:
        answer = orjson.loads(outcome.head) if outcome.status == 429 else {}
        wait = float(answer["retry_after"])
        if not 0 <= wait < math.inf:
            return _retry_after(outcome)
        return wait, bool(answer.get("global"))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return _retry_after(outcome)


def _slack_post(notices: Sequence[Notice], secret: str | None, at: int) -> Post:
    return Post({}, orjson.dumps({"attachments": [_attachment(notice) for notice in notices]}))


def _attachment(notice: Notice) -> dict[str, Any]:
    return {
        "fallback": _plain(notice.title),
        "color": f"#{COLORS[notice.severity]:06x}",
        "title": _plain(notice.title),
        "fields": [
            {"title": _plain(name), "value": _plain(value), "short": notice.count == 1}
            for name, value in notice.facts.items()
        ],
        "footer": _plain(f"{str(notice.severity).capitalize()} · {notice.account}"),
        "ts": notice.at // 1_000,
    }


def _plain(text: str) -> str:
    """Return a text without mentions: https://docs.slack.dev/messaging/formatting-message-text#escaping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _json_post(notices: Sequence[Notice], secret: str | None, at: int) -> Post:
    [notice] = notices
    body = orjson.dumps(
        {
            "event": "alert",
            "id": notice.event_id,
            "account": notice.account,
            "type": notice.type,
            "severity": str(notice.severity),
            "title": notice.title,
            "facts": dict(notice.facts),
            "count": notice.count,
            "since": iso_time(notice.since),
            "timestamp": iso_time(notice.at),
        }
    )
    headers = {"webhook-id": notice.event_id} if secret is None else Signer(secret).headers(notice.event_id, body, at)
    return Post(headers, body)


FORMATS: Mapping[str, Format] = {
    # Discord accepts 5 posts in 2 s per webhook, Slack 1 a second.
    "discord": Format(_discord_fits, _discord_post, 0.4, _discord_wait),
    "slack": Format(lambda notices: min(len(notices), SLACK_ATTACHMENTS), _slack_post, 1.0, _retry_after),
    "webhook": Format(lambda notices: 1, _json_post, 0.0, _retry_after),
}
"""Formats by channel."""
