"""How alerts look in each channel, and how long a failing channel is left alone."""

from __future__ import annotations

import re
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from accounts.alerts import CHANNELS, Severity
from outbound.alert_posts import COLORS, FORMATS, Notice, _unformatted
from outbound.outcomes import answered

START = 1_705_314_600_000
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def notice(**changes: Any) -> Notice:
    values: dict[str, Any] = {
        "event_id": "evt_1",
        "account": "acme",
        "type": "delivery_failures",
        "severity": Severity.MEDIUM,
        "title": "412 delivery failures in the last minute",
        "facts": {"Reasons": "300 REJECTED_ABSENT_SUBSCRIBER, 112 EXPIRED"},
        "count": 412,
        "since": START - 60_000,
        "at": START,
    }
    return Notice(**(values | changes))


def body(channel: str, *notices: Notice) -> Any:
    return orjson.loads(FORMATS[channel].post(notices, None, START // 1_000).body)


def test_there_is_a_format_for_every_channel_and_a_color_for_every_severity() -> None:
    assert set(FORMATS) == set(CHANNELS)
    assert set(COLORS) == set(Severity)


def test_discord_gets_an_embed_for_each_alert_that_mentions_nobody() -> None:
    assert body("discord", notice(), notice(title="@everyone")) == {
        "embeds": [
            {
                "title": title,
                "color": COLORS[Severity.MEDIUM],
                "fields": [
                    {"name": "Reasons", "value": "300 REJECTED_ABSENT_SUBSCRIBER, 112 EXPIRED", "inline": False}
                ],
                "footer": {"text": "Medium · acme"},
                "timestamp": "2024-01-15T10:30:00.000Z",
            }
            for title in ("412 delivery failures in the last minute", "@everyone")
        ],
        "allowed_mentions": {"parse": []},
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[Your invoice](https://evil.example)", "\\[Your invoice\\]\\(https://evil.example\\)"),
        ("\\[x](y)", "\\\\\\[x\\]\\(y\\)"),
        ("<@123> <@&4> <#5> <https://evil.example>", "\\<@123\\> \\<@&4\\> \\<\\#5\\> \\<https://evil.example\\>"),
        ("# loud\n> said", "\\# loud\n\\> said"),
        ("**a** __b__ ~~c~~ ||d|| `e`", "\\*\\*a\\*\\* \\_\\_b\\_\\_ \\~\\~c\\~\\~ \\|\\|d\\|\\| \\`e\\`"),
        ("_it_", "\\_it\\_"),
        (
            "REJECTED_ABSENT_SUBSCRIBER, 5 € - https://a.example/x_y",
            "REJECTED_ABSENT_SUBSCRIBER, 5 € - https://a.example/x_y",
        ),
    ],
)
def test_discord_shows_what_strangers_wrote_as_it_is(text: str, shown: str) -> None:
    [embed] = body("discord", notice(title=text, facts={text: text}))["embeds"]
    assert (embed["title"], embed["fields"][0]["name"], embed["fields"][0]["value"]) == (shown, shown, shown)


@given(st.text(alphabet="ab_*[]()\\<>é ", max_size=400), st.integers(1, 300))
def test_what_is_cut_for_discord_ends_in_no_half_escape(text: str, most: int) -> None:
    shown = _unformatted(text, most)
    assert len(shown) <= most
    plain = re.sub(r"\\([^\w\s]|_)", r"\1", shown)
    assert text.startswith(plain)


def test_slack_gets_an_attachment_for_each_alert_in_which_nothing_is_a_mention_or_a_link() -> None:
    [attachment] = body("slack", notice(title="<!channel> & <http://x|y>"))["attachments"]
    assert attachment == {
        "fallback": "&lt;!channel&gt; &amp; &lt;http://x|y&gt;",
        "color": "#e8a317",
        "title": "&lt;!channel&gt; &amp; &lt;http://x|y&gt;",
        "fields": [{"title": "Reasons", "value": "300 REJECTED_ABSENT_SUBSCRIBER, 112 EXPIRED", "short": False}],
        "footer": "Medium · acme",
        "ts": START // 1_000,
    }


def test_json_says_everything_by_name() -> None:
    assert body("webhook", notice()) == {
        "event": "alert",
        "id": "evt_1",
        "account": "acme",
        "type": "delivery_failures",
        "severity": "medium",
        "title": "412 delivery failures in the last minute",
        "facts": {"Reasons": "300 REJECTED_ABSENT_SUBSCRIBER, 112 EXPIRED"},
        "count": 412,
        "since": "2024-01-15T10:29:00.000Z",
        "timestamp": "2024-01-15T10:30:00.000Z",
    }


def test_json_is_signed_as_webhooks_are() -> None:
    post = FORMATS["webhook"].post([notice()], SECRET, int(time.time()))
    assert Webhook(SECRET).verify(post.body, dict(post.headers))["id"] == "evt_1"
    assert post.headers["X-Trackly-Signature"].startswith("sha256=")


def test_json_without_a_secret_has_its_id_alone() -> None:
    assert FORMATS["webhook"].post([notice()], None, 0).headers == {"webhook-id": "evt_1"}


@pytest.mark.parametrize(("channel", "most"), [("discord", 10), ("slack", 10), ("webhook", 1)])
def test_so_many_go_into_one_post(channel: str, most: int) -> None:
    assert FORMATS[channel].fits([notice()] * 30) == most
    assert FORMATS[channel].fits([notice()]) == 1


def test_what_is_too_long_for_one_message_of_discord_is_left_for_the_next() -> None:
    long = notice(facts={"Reasons": "x" * 5_000})
    number = FORMATS["discord"].fits([long] * 10)
    assert number == 5
    embeds = body("discord", *[long] * number)["embeds"]
    assert sum(len(embed["title"]) + len(embed["fields"][0]["value"]) for embed in embeds) < 6_000


@pytest.mark.parametrize(
    ("channel", "answer", "wait"),
    [
        ("discord", answered(429, 1.0, '{"message": "slow", "retry_after": 0.65, "global": false}'), (0.65, False)),
        ("discord", answered(429, 1.0, '{"retry_after": 3.5, "global": true}'), (3.5, True)),
        ("discord", answered(429, 1.0, '{"retry_after": "nan", "global": true}'), (1.0, False)),
        ("discord", answered(429, 1.0, '{"retry_after": "inf", "global": true}'), (1.0, False)),
        ("discord", answered(429, 1.0, '{"retry_after": -5, "global": true}'), (1.0, False)),
        ("discord", answered(429, 2.0, "<html>"), (2.0, False)),
        ("discord", answered(429, 2.0, '["retry_after"]'), (2.0, False)),
        ("discord", answered(503, 9.0, '{"retry_after": 1}'), (9.0, False)),
        ("discord", answered(500), (0.0, False)),
        ("slack", answered(429, 30.0), (30.0, False)),
        ("webhook", answered(503, 30.0), (30.0, False)),
    ],
)
def test_a_channel_is_left_in_peace_for_as_long_as_it_asks(channel: str, answer: Any, wait: tuple[float, bool]) -> None:
    assert FORMATS[channel].wait(answer) == wait
