"""Callbacks such as each provider and network sends, with its proof: for trying out an installation, and for tests.

They are in `providers/data/{name}.samples.json`, a list of templates. A template has a kind and its fields as `json`,
as `form`, or as `query` of a GET. Braces in a value are filled: {contact} and {list_number} as E.164, {contact_digits}
and {list_digits} without the plus, {list_id}, {marker}, {n} (the place in the list), {now:FORMAT} by strftime, and
{millis}, a number where nothing stands beside it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

import orjson

from providers import NETWORKS, PROVIDERS
from providers.base import CallbackRequest, Provider
from providers.meanings import tables
from providers.networks import Network

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

TOPICS: Mapping[str, str] = {
    "delivered": "receipts",
    "failed": "receipts",
    "reply": "inbound",
    "opt_out": "inbound",
    "opt_in": "inbound",
    "click": "clicks",
    "conversion": "postbacks",
    "refund": "postbacks",
}
"""Kind of a sample -> short name of the topic on which its result appears."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What samples are about: the numbers of a contact and a list, the provider's own ID of the list, and a time in
    UTC."""

    contact: str
    list_number: str
    list_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Sample:
    """One callback, without its proof yet. Its marker appears in `raw` of the resulting record. A GET has its fields in
    `query`."""

    kind: str
    marker: str
    body: bytes = b""
    content_type: str | None = None
    method: str = "POST"
    query: str = ""


@dataclass(frozen=True, slots=True)
class SampleSource:
    """A provider's samples: where they are posted, how they are made from a marker, and how they are authenticated."""

    path: str
    samples: Callable[[str, Occasion], Iterable[Sample]]
    prove: Callable[[CallbackRequest, Mapping[str, str]], CallbackRequest]

    def request(self, sample: Sample, url: str, credentials: Mapping[str, str]) -> CallbackRequest:
        """Return the provider's request for a sample, to this URL: `https://.../x?account=ID`."""
        full = f"{url}&{sample.query}" if sample.query else url
        headers = {} if sample.content_type is None else {"content-type": sample.content_type}
        query = full.partition("?")[2]
        return self.prove(CallbackRequest(sample.method, full, query, headers, sample.body), credentials)


def samples_of(name: str, marker: str, occasion: Occasion) -> Iterator[Sample]:
    """Return the samples of a provider or network. The marker of each is `marker` and its position in the list."""
    for n, template in enumerate(tables(f"{name}.samples")):
        own = f"{marker}{n}"
        filled = _filled(template, _words(own, n, occasion))
        match filled:
            case {"kind": str(kind), "json": fields}:
                yield Sample(kind, own, orjson.dumps(fields), JSON)
            case {"kind": str(kind), "form": dict(fields)}:
                yield Sample(kind, own, urlencode(fields).encode(), FORM)
            case {"kind": str(kind), "query": dict(fields)}:
                yield Sample(kind, own, method="GET", query=urlencode(fields))
            case _:
                raise ValueError(f"{name}: sample {n} has neither json nor form nor query")


def _words(marker: str, n: int, occasion: Occasion) -> dict[str, Any]:
    return {
        "contact": occasion.contact,
        "contact_digits": occasion.contact.lstrip("+"),
        "list_number": occasion.list_number,
        "list_digits": occasion.list_number.lstrip("+"),
        "list_id": occasion.list_id,
        "marker": marker,
        "n": n,
        "now": occasion.now,
        "millis": int(occasion.now.timestamp() * 1000),
    }


def _filled(value: Any, words: Mapping[str, Any]) -> Any:
    match value:
        case dict():
            return {name: _filled(each, words) for name, each in value.items()}
        case list():
            return [_filled(each, words) for each in value]
        case "{millis}":
            return words["millis"]
        case str():
            return value.format_map(words)
    return value


def _source(path: str, sender: Provider | Network) -> SampleSource:
    return SampleSource(f"{path}/{sender.name}", partial(samples_of, sender.name), sender.prove)


SOURCES: Mapping[str, SampleSource] = {
    **{name: _source("/api/webhook-feedbacks", provider) for name, provider in PROVIDERS.items()},
    **{name: _source("/api/postbacks", network) for name, network in NETWORKS.items()},
}
"""Sources by the name of the provider or network."""
