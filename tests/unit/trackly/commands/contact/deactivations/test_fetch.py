"""Deactivation files from a provider's API, against a stand-in with the documented shapes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import date
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import encode_basic_auth, web

from outbound.settings import OutboundSettings
from trackly.commands.contact.deactivations.fetch import Wanted, fetch
from trackly.errors import Failed

DAY = date(2026, 11, 20)
USER, SECRET = "AC123", "a secret"


class Provider:
    """Answers as Twilio, Vonage and Infobip do. `asked` are the requests; `busy` answers 429 so many times first."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.busy = 0
        self.status = 200
        self.redirect: str | None = None
        self.body = b"15123456789\n15123456780\n"
        self.base = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/v1/Deactivations", self.twilio)
        application.router.add_get("/file", self.file)
        application.router.add_get("/v1/numbers/deactivations", self.vonage)
        application.router.add_get("/number-activation-state/1/network-reports", self.reports)
        application.router.add_get("/number-activation-state/1/network-reports/{id}/records", self.records)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def twilio(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if self.status != 200:
            return web.Response(status=self.status)
        return web.json_response({"redirect_to": self.redirect or f"{self.base}/file"}, status=307)

    async def file(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        return web.Response(body=self.body)

    async def vonage(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("deactivations.txt", self.body)
        return web.Response(body=packed.getvalue(), content_type="application/zip")

    async def reports(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        return web.json_response({"results": [{"reportId": "1f7a9938-0e3b"}], "paging": {"page": 0, "totalPages": 1}})

    async def records(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if self.busy:
            self.busy -= 1
            return web.Response(status=429)
        page = int(request.query["page"])
        result = {"destination": f"1512345678{page}", "date": "2026-11-20T00:00:00.000+0000", "type": "DEACTIVATION"}
        return web.json_response({"results": [result], "paging": {"page": page, "totalPages": 2}})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    found = Provider()
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
def allowing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutboundSettings:
    """Settings that let this machine be asked, and the secrets that references name."""
    monkeypatch.setenv("PROVIDER_USER", USER)
    monkeypatch.setenv("PROVIDER_SECRET", SECRET)
    return OutboundSettings(
        TRACKLY_DATA_DIR=tmp_path, TRACKLY_ALLOW_HTTP=True, TRACKLY_ALLOW_SUBNETS=(ip_network("127.0.0.0/8"),)
    )  # type: ignore[call-arg]


def wanted(source: str, provider: Provider, **fields: Any) -> Wanted:
    values = {"user": "env:PROVIDER_USER", "secret": "env:PROVIDER_SECRET", "url": provider.base, **fields}
    return Wanted(source, DAY, **values)


async def test_twilio_gives_a_redirect_to_a_file(provider: Provider, allowing: OutboundSettings) -> None:
    path = await fetch(wanted("twilio", provider), allowing)
    assert path.read_bytes() == provider.body
    first, second = provider.asked
    assert first.query["Date"] == "2026-11-20"
    assert first.headers["Authorization"] == encode_basic_auth(USER, SECRET)
    assert "Authorization" not in second.headers


async def test_vonage_gives_a_zip(provider: Provider, allowing: OutboundSettings) -> None:
    path = await fetch(wanted("vonage", provider), allowing)
    assert path.read_text().split() == ["15123456789", "15123456780"]
    assert provider.asked[0].query["date"] == "2026-11-20"


async def test_infobip_gives_pages_of_reports_and_may_be_busy(provider: Provider, allowing: OutboundSettings) -> None:
    provider.busy = 2
    path = await fetch(wanted("infobip", provider), allowing, pause=0)
    assert [json.loads(line)["destination"] for line in path.read_bytes().splitlines()] == [
        "15123456780",
        "15123456781",
    ]
    assert provider.asked[0].headers["Authorization"] == f"App {SECRET}"
    assert provider.asked[0].query["dateFrom"] == "2026-11-20"


async def test_what_was_fetched_is_not_fetched_again(provider: Provider, allowing: OutboundSettings) -> None:
    await fetch(wanted("twilio", provider), allowing)
    await fetch(wanted("twilio", provider), allowing)
    assert len(provider.asked) == 2


@pytest.mark.parametrize(("status", "told"), [(401, "credentials"), (403, "on request"), (404, "for that day")])
async def test_a_refusal_is_told(provider: Provider, allowing: OutboundSettings, status: int, told: str) -> None:
    provider.status = status
    with pytest.raises(Failed, match=told):
        await fetch(wanted("twilio", provider), allowing)
    assert not list((allowing.data_dir / "deactivations").iterdir())


async def test_a_provider_that_stays_busy_is_told(provider: Provider, allowing: OutboundSettings) -> None:
    provider.busy = 100
    with pytest.raises(Failed, match="too many requests"):
        await fetch(wanted("infobip", provider), allowing, pause=0)


@pytest.mark.parametrize(
    "to", ["http://10.0.0.1/file", "http://169.254.169.254/latest", "file:///etc/passwd", "https://user:x@a.example/"]
)
async def test_a_redirect_to_where_nothing_may_go_is_refused(
    provider: Provider, allowing: OutboundSettings, to: str
) -> None:
    provider.redirect = to
    with pytest.raises(Failed, match="cannot be used"):
        await fetch(wanted("twilio", provider), allowing)


async def test_private_addresses_are_refused_by_default(provider: Provider, tmp_path: Path, allowing: Any) -> None:
    settings = OutboundSettings(TRACKLY_DATA_DIR=tmp_path)  # type: ignore[call-arg]
    with pytest.raises(Failed, match="cannot be used"):
        await fetch(wanted("twilio", provider), settings)
    assert not provider.asked


@pytest.mark.parametrize("fields", [{"secret": SECRET}, {"user": None}, {"secret": "env:NOT_SET_HERE"}])
async def test_a_secret_is_a_reference_and_is_never_told(
    provider: Provider, allowing: OutboundSettings, fields: dict[str, Any]
) -> None:
    with pytest.raises(Failed) as failed:
        await fetch(wanted("twilio", provider, **fields), allowing)
    assert SECRET not in str(failed.value)
    assert not provider.asked


async def test_a_body_without_end_is_cut_off(
    provider: Provider, allowing: OutboundSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trackly.commands.contact.deactivations.fetch.MOST_BYTES", 100)
    provider.body = b"1" * 200
    with pytest.raises(Failed, match="sends more"):
        await fetch(wanted("twilio", provider), allowing)
