"""A file that can only be opened with its passphrase, written and read in pieces, so that its size does not matter.

Scrypt derives the key from the passphrase; pieces are sealed with AES-256-GCM, each bound to its number and to whether
it is the last one (the STREAM construction, https://eprint.iacr.org/2015/189): none can be changed, left out, or moved.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

MAGIC = b"trackly-backup-1\n"

PIECE = 1 << 20
"""Bytes that are sealed together."""

_SALT, _PREFIX, _TAG = 16, 7, 16
_COST = 1 << 15
"""Cost of scrypt: 32 MiB and about a tenth of a second for each passphrase tried."""


class NotOpened(Exception):
    """The file is not a trackly backup, its passphrase is wrong, or it is damaged or incomplete."""


def write(file: IO[bytes], lines: Iterable[bytes], passphrase: str) -> None:
    """Write lines, compressed and encrypted."""
    salt, prefix = os.urandom(_SALT), os.urandom(_PREFIX)
    sealer = _sealer(passphrase, salt)
    file.write(MAGIC + salt + prefix)
    pieces = _pieces(lines)
    number = 0
    following: bytes | None = next(pieces, b"")
    while following is not None:
        piece, following = following, next(pieces, None)
        sealed = sealer.encrypt(_nonce(prefix, number, following is None), piece, salt)
        file.write(len(sealed).to_bytes(4, "big") + sealed)
        number += 1


def read(file: IO[bytes], passphrase: str) -> Iterator[bytes]:
    """Yield the lines. Raises NotOpened, possibly after some lines if the damage is further on."""
    head = file.read(len(MAGIC) + _SALT + _PREFIX)
    if not head.startswith(MAGIC) or len(head) < len(MAGIC) + _SALT + _PREFIX:
        raise NotOpened("this is not a trackly backup, or a later version wrote it")
    salt, prefix = head[len(MAGIC) : -_PREFIX], head[-_PREFIX:]
    sealer, unpacker = _sealer(passphrase, salt), zlib.decompressobj()
    rest, number, size = b"", 0, file.read(4)
    while size:
        length = int.from_bytes(size, "big")
        sealed = file.read(length) if len(size) == 4 and _TAG <= length <= PIECE + _TAG else b""
        size = file.read(4)
        try:
            piece = sealer.decrypt(_nonce(prefix, number, not size), sealed, salt)
        except (InvalidTag, ValueError):
            why = "the passphrase is wrong, or the file is damaged" if not number else "the file is damaged"
            raise NotOpened(why) from None
        number += 1
        *lines, rest = (rest + unpacker.decompress(piece)).split(b"\n")
        yield from lines
    if not number or not unpacker.eof:
        raise NotOpened("the file is not complete")


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    packer, packed = zlib.compressobj(), bytearray()
    for line in lines:
        packed += packer.compress(line + b"\n")
        while len(packed) >= PIECE:
            yield bytes(packed[:PIECE])
            del packed[:PIECE]
    packed += packer.flush()
    for start in range(0, len(packed), PIECE):
        yield bytes(packed[start : start + PIECE])


def _sealer(passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=_COST, r=8, p=1).derive(passphrase.encode()))


def _nonce(prefix: bytes, number: int, is_last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + bytes([is_last])
