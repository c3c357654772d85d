"""Fetches files of deactivated numbers from a provider's API.

Addresses must follow the rules for all outgoing requests: public ones over HTTPS, or those that TRACKLY_ALLOW_HTTP and
TRACKLY_ALLOW_SUBNETS allow. A redirect is followed once, without the credentials.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import aiohttp
from yarl import URL

from accounts.secrets import REFERENCES, SecretMissing, resolve
from outbound.guard import GuardedResolver, RefusedAddress, RefusedUrl, check_url
from outbound.sender import tls_context, user_agent
from outbound.settings import OutboundSettings
from trackly.commands.contact.deactivations.files import DAY, lines_of
from trackly.errors import Failed
from trackly.output import say

TIMEOUT = aiohttp.ClientTimeout(total=600, connect=15, sock_read=60)

MOST_BYTES = 1 << 30
"""Maximum bytes of one file, or of all pages of a report."""

MOST_PAGES, PAGE = 20_000, 1_000
"""Maximum pages of all reports of a day, and the records requested per page."""

TRIES, PAUSE = 5, 2.0
"""Attempts for a page answered 429 or 5xx; seconds before the second one, doubled each time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The file to fetch, for one day. `user` and `secret` are references, `url` is where the provider answers."""

    source: str
    day: date
    user: str | None
    secret: str | None
    url: str | None


class DeactivationSource(NamedTuple):
    """A provider: its default address, whether it needs a user besides the secret, and how to get its file."""

    url: str | None
    has_user: bool
    get: Callable[[Client, Wanted, BinaryIO], Awaitable[None]]


class Client:
    """Client for one provider. Every failure is a Failed without secrets."""

    def __init__(
        self, session: aiohttp.ClientSession, settings: OutboundSettings, base: str, auth: str, pause: float
    ) -> None:
        self._session = session
        self._settings = settings
        self._base = self._checked(base.rstrip("/"))
        self._auth = auth
        self._pause = pause
        self._taken = 0

    async def get(self, path: str, **query: str) -> aiohttp.ClientResponse:
        """Return the answer to a request with credentials. The caller releases it."""
        return await self._ask(self._base.joinpath(path.lstrip("/")).with_query(query), {"Authorization": self._auth})

    async def json(self, path: str, **query: str) -> Any:
        """Return the JSON of a 200 answer. Retries while the provider is busy."""
        for wait in (*(self._pause * 2**n for n in range(TRIES - 1)), None):
            async with await self.get(path, **query) as answer:
                if answer.status == 200:
                    return _json(await self.read(answer))
                is_busy = answer.status == 429 or answer.status >= 500
            if wait is None or not is_busy:
                break
            await asyncio.sleep(wait)
        raise refused(answer.status)

    async def follow(self, text: str, out: BinaryIO) -> None:
        """Write the content of a URL that the provider refers to, without credentials, and without following it
        further."""
        async with await self._ask(self._checked(text), {}) as answer:
            if answer.status != 200:
                raise refused(answer.status)
            await self.write(answer, out)

    async def write(self, answer: aiohttp.ClientResponse, out: BinaryIO) -> None:
        """Write an answer's body."""
        async for chunk in answer.content.iter_chunked(1 << 16):
            self._take(len(chunk))
            out.write(chunk)

    async def read(self, answer: aiohttp.ClientResponse) -> bytes:
        """Return an answer's body."""
        chunks = []
        async for chunk in answer.content.iter_chunked(1 << 16):
            self._take(len(chunk))
            chunks.append(chunk)
        return b"".join(chunks)

    def _take(self, size: int) -> None:
        self._taken += size
        if self._taken > MOST_BYTES:
            raise Failed(f"The provider sends more than {MOST_BYTES >> 30} GiB.")

    def _checked(self, text: str) -> URL:
        settings = self._settings
        try:
            return check_url(
                text, allow_http=settings.allow_http, allowed=settings.allow_subnets, ports=settings.webhook_ports
            )
        except RefusedUrl as error:
            raise Failed(f"The provider's address cannot be used: {error}.") from None

    async def _ask(self, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        try:
            return await self._session.get(url, headers=headers, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cause = getattr(error, "os_error", error)
            why = str(cause) if isinstance(cause, RefusedAddress) else type(error).__name__
            raise Failed(f"The provider does not answer: {why}.") from None


def refused(status: int) -> Failed:
    """Describe an answer that is not a file."""
    told = {
        401: "it does not accept the credentials",
        403: "these credentials may not have the file: providers open it on request",
        404: "it has no file for that day",
        429: "too many requests; try again later",
    }
    return Failed(f"The provider answers {status}: {told.get(status, 'it has no file')}.")


async def _twilio(client: Client, wanted: Wanted, out: BinaryIO) -> None:
    async with await client.get("/v1/Deactivations", Date=wanted.day.isoformat()) as answer:
        if answer.status not in (200, 301, 302, 303, 307, 308):
            raise refused(answer.status)
        location = answer.headers.get("Location") or _json(await client.read(answer)).get("redirect_to")
    if not isinstance(location, str):
        raise Failed("The provider's answer names no file: it has no redirect_to.")
    await client.follow(location, out)


async def _vonage(client: Client, wanted: Wanted, out: BinaryIO) -> None:
    async with await client.get("/v1/numbers/deactivations", date=wanted.day.isoformat()) as answer:
        if answer.status != 200:
            raise refused(answer.status)
        await client.write(answer, out)


async def _infobip(client: Client, wanted: Wanted, out: BinaryIO) -> None:
    reports = "/number-activation-state/1/network-reports"
    until = (wanted.day + DAY).isoformat()
    asked = 0
    page = 0
    while True:
        listed = await client.json(
            reports, dateFrom=wanted.day.isoformat(), dateTo=until, page=str(page), size=str(PAGE)
        )
        for report in _results(listed):
            at = 0
            while True:
                asked += 1
                if asked > MOST_PAGES:
                    raise Failed(f"The provider has more than {MOST_PAGES:,} pages for that day.")
                found = await client.json(f"{reports}/{_id(report)}/records", page=str(at), size=str(PAGE))
                for each in _results(found):
                    out.write(json.dumps(each).encode() + b"\n")
                at += 1
                if at >= _pages(found):
                    break
        page += 1
        if page >= min(_pages(listed), MOST_PAGES):
            return


SOURCES: Mapping[str, DeactivationSource] = {
    "twilio": DeactivationSource("https://messaging.twilio.com", True, _twilio),
    "vonage": DeactivationSource("https://api.nexmo.com", True, _vonage),
    "infobip": DeactivationSource(None, False, _infobip),
}
"""https://www.twilio.com/docs/messaging/api/deactivations-resource
https://developer.vonage.com/en/api/us-numbers-deactivation
https://www.infobip.com/docs/api/connectivity/number-activation-state"""


async def fetch(wanted: Wanted, settings: OutboundSettings | None = None, *, pause: float = PAUSE) -> Path:
    """Fetch a day's file into the data directory; returns its path, whose lines can be read one by one.

    An existing file is reused: an interrupted run continues with the same lines. Raises Failed.
    """
    settings = settings or OutboundSettings()
    source = SOURCES[wanted.source]
    folder = settings.data_dir / "deactivations"
    target = folder / f"{wanted.source}-{wanted.day.isoformat()}.lines"
    if target.exists():
        say(f"{target} already exists and is not fetched again.")
        return target
    base = wanted.url or source.url
    if base is None:
        raise Failed(f"{wanted.source} gives each customer its own address: pass it with --url.")
    auth = _authorization(source, wanted)
    folder.mkdir(parents=True, exist_ok=True)
    fetched = target.with_suffix(".part")
    resolver = GuardedResolver(settings.allow_subnets, settings.webhook_ports)
    connector = aiohttp.TCPConnector(resolver=resolver, ssl=tls_context())
    headers = {"User-Agent": user_agent(), "Accept": "*/*"}
    try:
        async with aiohttp.ClientSession(
            connector=connector, timeout=TIMEOUT, headers=headers, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            with fetched.open("wb") as out:
                await source.get(Client(session, settings, base, auth, pause), wanted, out)
        with fetched.open("rb") as file:
            lines_of(file, written := target.with_suffix(".new"))
        written.replace(target)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Failed(f"The provider's answer ended early: {type(error).__name__}.") from None
    except ValueError as error:
        raise Failed(f"The provider's file: {error}.") from None
    finally:
        fetched.unlink(missing_ok=True)
        target.with_suffix(".new").unlink(missing_ok=True)
    return target


def _authorization(source: DeactivationSource, wanted: Wanted) -> str:
    user = _resolved("--user", wanted.user) if source.has_user else ""
    secret = _resolved("--secret", wanted.secret)
    return aiohttp.encode_basic_auth(user, secret) if source.has_user else f"App {secret}"


def _resolved(option: str, reference: str | None) -> str:
    if reference is None or not reference.startswith(REFERENCES):
        raise Failed(
            f"{option} is missing, or is not a reference: write env:NAME or file:PATH, never the secret itself."
        )
    try:
        return resolve(reference)
    except SecretMissing as error:
        raise Failed(f"{option}: {error}.") from None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Failed("The provider's answer is not valid JSON.") from None


def _results(page: Any) -> list[Any]:
    results = page.get("results") if isinstance(page, dict) else None
    if not isinstance(results, list):
        raise Failed("The provider's answer has no results.")
    return results


def _pages(page: Any) -> int:
    paging = page.get("paging")
    total = paging.get("totalPages") if isinstance(paging, dict) else None
    return total if isinstance(total, int) else 0


def _id(report: Any) -> str:
    found = report.get("reportId") if isinstance(report, dict) else None
    if not isinstance(found, str) or not found.replace("-", "").isalnum() or len(found) > 64:
        raise Failed("The provider's answer has a report without an id.")
    return found
