"""The most expensive requests known, at their maximum size, for every door. Only bytes: no I/O."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from operations.samples import SOURCES
from providers import NETWORKS, PROVIDERS

HEAD = 62 << 10
"""Bytes of the largest part of a head, which leaves the head below its limit."""

FORM = "application/x-www-form-urlencoded"
LONG_NUMBER = b"9" * 4_200
"""Python parses integers of at most 4,300 digits."""


class Hostile(NamedTuple):
    """The data sent on one connection, write by write."""

    name: str
    parts: tuple[bytes, ...]


def post(target: str, body: bytes = b"", content_type: str = FORM, fields: Mapping[str, str] | None = None) -> bytes:
    """Return a POST with its body."""
    return _head("POST", target, {"content-type": content_type, **(fields or {})}, len(body)) + body


def to_ingest(secret: str = "s") -> Iterator[Hostile]:
    """Yield every kind of body for every provider and network, and every kind of head. `secret` is for paths."""
    for name, sender in {**PROVIDERS, **NETWORKS}.items():
        target = SOURCES[name].path + (f"/{secret}" if getattr(sender, "behind_path_secret", False) else "")
        target += "?click_id=c" if name in NETWORKS else "?account=acme"
        for kind, content_type, body in bodies(sender.max_body_bytes):
            yield Hostile(f"{name}: {kind}", (post(target, body, content_type, _PROOFS),))
        for kind, coding, body in compressed(sender.max_body_bytes):
            fields = {**_PROOFS, "content-encoding": coding}
            yield Hostile(f"{name}: {kind}", (post(target, body, "application/json", fields),))
        yield Hostile(f"{name}: chunks of one byte", (_chunked(target),))
    for kind, parts in heads("/api/webhook-feedbacks/infobip?account=acme", "/api/postbacks/tune"):
        yield Hostile(f"head: {kind}", parts)


def to_console(key: str = "") -> Iterator[Hostile]:
    """Yield every kind of form for the sign-in page, of body for the API, and of head. `key` is an API key."""
    same = {"sec-fetch-site": "same-origin"}
    for kind, content_type, body in bodies(64 << 10):
        yield Hostile(f"sign-in: {kind}", (post("/sign-in", body, content_type, same),))
    for kind, coding, body in compressed(64 << 10):
        yield Hostile(f"sign-in: {kind}", (post("/sign-in", body, FORM, {**same, "content-encoding": coding}),))
    for kind, _, body in bodies(4 << 20):
        yield Hostile(f"no key: {kind}", (post("/api/messages", body, "application/json"),))
    for size in (1 << 20, 4 << 20) if key else ():  # below the limit of values, and above
        for kind, content_type, body in (*bodies(size), *_batches(size)):
            if content_type == "application/json":
                sent = post("/api/messages", body, content_type, {"x-api-key": key})
                yield Hostile(f"key: {kind}, {size >> 20} MiB", (sent,))
    for kind, parts in heads("/sign-in?next=/", "/accounts"):
        yield Hostile(f"head: {kind}", parts)
    for kind, parts in heads("/api/deliveries?account=acme", "/api/contacts"):
        yield Hostile(f"head of the API: {kind}", parts)


def bodies(size: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield kinds of bodies with their content type, of about this many bytes."""
    json, xml = "application/json", "application/xml"
    yield "nothing special", FORM, b"x" * size
    yield "separators", FORM, b"&" * size
    yield "fields", FORM, _filled(b"a=b&", size)
    yield "different fields", FORM, b"&".join(b"%x=" % n for n in range(size // 8))[:size]
    yield "a thousand fields", FORM, b"&".join(b"%x=" % n + b"%41" * (size // 3_100) for n in range(999))[:size]
    yield "escapes", FORM, b"Body=" + _filled(b"%41", size - 5)
    yield "half escapes", FORM, b"Body=" + b"%" * (size - 5)
    yield "no UTF-8", FORM, b"Body=" + _filled(b"%ff\xff", size - 5)
    yield "base64", FORM, b"From=1&Body=" + b"QUFB" * ((size - 12) // 4)
    yield (
        "parts",
        "multipart/form-data; boundary=x",
        _filled(b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n', size),
    )
    yield "UTF-16", "application/json; charset=utf-16", b"[" + b"\x00 " * (size // 2 - 1)
    yield "JSON lists in lists", json, b"[" * size
    yield "JSON objects in objects", json, _filled(b'{"a":', size)
    yield "JSON of one key", json, b"{" + _filled(b'"a":1,', size - 8) + b'"a":1}'
    yield "JSON of different keys", json, b"{" + b",".join(b'"%x":1' % n for n in range(size // 12)) + b"}"
    yield "JSON, one long number", json, b'{"a":' + b"9" * (size - 6) + b"}"
    yield "JSON, long numbers", json, b'{"a":[' + _filled(LONG_NUMBER + b",", size - 9) + b"1]}"
    yield "JSON, half letters", json, b'{"results":[' + _filled(b'"\\ud83d",', size - 16) + b'""]}'
    yield "JSON, secrets", json, b"{" + _filled(b'"secret":"', size - 1)
    yield "JSON, a secret far away", json, b'{"secret"' + b" " * (size - 9)
    yield "JSON of broken items", json, b'{"results":[' + _filled(b"{},", min(size, 30_000) - 17) + b"{}]}"
    yield (
        "JSON of a long text",
        json,
        b'{"results":[{"from":"15555550100","text":"' + b"stop " * ((size - 60) // 5) + b'"}]}',
    )
    yield "XML in XML", xml, _filled(b"<a>", size)
    yield "XML elements", xml, b"<results>" + _filled(b"<a/>", size - 20) + b"</results>"
    yield "XML attributes", xml, b"<a " + b" ".join(b'b%x=""' % n for n in range(size // 12)) + b"/>"
    yield "XML entities", xml, b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><a>' + _filled(b"&b;", size - 50) + b"</a>"


def compressed(size: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield kinds of compressed bodies with their coding, of at most this many bytes."""
    zeros = b"0" * size
    yield "gzip, much of nothing", "gzip", gzip.compress(zeros, mtime=0)
    yield "gzip in gzip", "gzip, gzip", gzip.compress(gzip.compress(zeros, mtime=0), mtime=0)
    yield "gzip, not compressed", "gzip", gzip.compress(b"x" * (size - 400), compresslevel=0, mtime=0)
    yield "gzip in parts", "gzip", _filled(gzip.compress(b"", mtime=0), size)
    yield "deflate without its wrapper", "deflate", _raw_deflate(zeros)


def heads(target: str, path: str) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Yield kinds of heads. `target` already has a query, `path` has none."""

    def of(fields: dict[str, str], query: str = "") -> tuple[bytes, ...]:
        return (_head("GET", target + query, fields),)

    blanks = " " * HEAD
    yield "nothing special", of({"x-a": "a" * HEAD})
    for name in ("upgrade", "host", "content-length", "transfer-encoding", "content-type", "expect", "connection"):
        yield f"blanks in {name}", of({name: f"a{blanks[: HEAD - 9]}b"})
        yield f"{name} and a carriage return", of({name: f"a{' ' * 4_000}\ra"})
    yield "separators in content-type", of({"content-type": "a/b" + "; charset =" * (HEAD // 12)})
    for name in ("authorization", "x-twilio-signature", "x-signature", "x-hub-signature", "traceparent", "origin"):
        yield f"long {name}", of({name: "sha512=" + "A" * HEAD})
    yield "Basic", of({"authorization": "Basic " + "QUFB" * (HEAD // 4)})
    yield "many algorithms", of({"x-twilio-webhooks-signature-settings": "algorithm=a," * (HEAD // 12)})
    yield "proxies", of({"x-forwarded-for": "127.0.0.1," * (HEAD // 10)})
    yield "short proxies", of({"x-forwarded-for": "::1," * (HEAD // 4)})
    yield "no addresses", of({"x-forwarded-for": "," * HEAD})
    yield "escaped cookie", of({"cookie": 'trackly="' + "\\" * HEAD + '"'})
    yield "escapes in a cookie", of({"cookie": 'trackly="' + "\\101" * (HEAD // 4) + '"'})
    yield "cookies", of({"cookie": "a=b;" * (HEAD // 4)})
    yield "languages", of({"accept-language": "a," * (HEAD // 2), "accept": "a/b," * 100})
    yield "ninety fields", of({f"x-{n}": "%41" * (HEAD // 330) for n in range(90)})
    query = 31 << 10
    yield "secrets", of({f"x-{n}": "%41" * 150 for n in range(60)}, "&secret=a" * (query // 10))
    yield "different secrets", of({"x-a": "%2541" * 5_000}, "".join(f"&token={n}" for n in range(query // 12)))
    yield "one long secret", of({"x-a": "a" * (HEAD // 3)}, "&secret=" + "a" * (HEAD // 3) + "b")
    yield "parameters", of({}, "&a" * (query // 2))
    yield "255 parameters", of({}, ("&a=" + "%41" * 40) * 254)
    yield "eight secrets", of({f"x-{n}": "%41" * 200 for n in range(90)}, "".join(f"&key={n:a>900}" for n in range(8)))
    yield "far too many parameters", of({}, "&a" * (HEAD // 2))
    yield "escapes in the query", of({}, "&a=" + "%41" * (query // 3))
    yield "half-mended query", of({}, "&amp;account=" * (query // 13))
    yield "macros", of({}, "&a=" + "{aaaaaaaaaaaaaaa" * (query // 16))
    yield "a long path", (_head("GET", path + "/a" * (HEAD // 2), {}),)
    yield "slashes", (_head("GET", "/" * HEAD, {}),)
    yield "escapes in the path", (_head("GET", path + "/" + "%41" * (HEAD // 3), {}),)
    yield "blanks in the target", (_head("GET", path + "?a=" + blanks, {}),)
    yield "letters in the target", (_head("GET", path + "?a=" + "\xe9" * HEAD, {}),)
    yield "requests in a row", (_head("GET", target, {}) * 3_000,)
    yield "byte by byte", tuple(bytes([byte]) for byte in _head("GET", target, {"x-a": "a" * 3_000}))
    yield "line ends", (b"\r\n" * (HEAD // 2),)
    yield "no end", (b"GET / HTTP/1.1\r\nx: " + b"\r" * HEAD,)


def _batches(size: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield kinds of batches of messages."""
    json = "application/json"
    whole = b'{"message_id":"m","provider":"infobip","provider_message_id":"p","list_number":"+18005551234",'
    yield "empty messages", json, b'{"messages":[' + _filled(b"{},", size - 20) + b"{}]}"
    unknown = b"{" + b",".join(b'"%x":1' % n for n in range(90)) + b"},"
    yield "messages of unknown fields", json, b'{"messages":[' + _filled(unknown, size - 20) + b"{}]}"
    arguments = b",".join(b'"%x":"1"' % n for n in range(size // 14))
    yield "a message of arguments", json, b'{"messages":[' + whole + b'"unique_args":{' + arguments + b"}}]}"
    links = _filled(b'{"click_id":"c","url":"x"},', size - 200)
    yield "a message of links", json, b'{"messages":[' + whole + b'"links":[' + links + b"{}]}]}"


_PROOFS = {
    "authorization": "Basic QTpC",
    "x-twilio-signature": "x",
    "x-signature": "x",
    "x-hub-signature": "sha512=x",
}
"""Every proof that a provider checks, with wrong values: ingest must compute the right ones."""


def _head(method: str, target: str, fields: Mapping[str, str], length: int | None = None) -> bytes:
    given = {"host": "127.0.0.1", "connection": "close", **fields}
    if length is not None:
        given.setdefault("content-length", str(length))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _chunked(target: str) -> bytes:
    head = _head("POST", target, {**_PROOFS, "content-type": FORM, "transfer-encoding": "chunked"})
    return head + b"1\r\na\r\n" * 40_000 + b"0\r\n\r\n"


def _filled(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece))


def _raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()
