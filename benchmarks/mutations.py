"""Mutations of good requests: one thing changed at random, by a seeded generator.

Pure: bytes in, bytes out. A mutated request may still be good; in no case may it harm the service.
"""

import copy
import json
import struct
import zlib
from random import Random
from typing import Any

WEIRD: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1.5, 256, 2**31, 2**63, 2**64, 10**30, 1e308, float("nan"), float("inf")),
    *("", "x", "1", "\ud800", "é" * 1000, [], {}, [[]], [[1, 2], [3]], {"a": {}}, list(range(100))),
)
NUMBERS = (b"-1", b"0", b"1_4", b"+5", b" 7", b"1.5", b"1e3", b"99999999999999999999", b"", b"x", b"\xd9\xa3", b"0x10")
DEPTH = 20_000
CLAIMED_SIZES = ((60_000, 60_000), (2**31 - 1, 1), (30_000, 800), (0, 5), (2**32 - 1, 2**32 - 1))
IHDR = slice(16, 24)  # width and height in a PNG file, 4 bytes each; its chunk's checksum follows 5 bytes later


def mutate_bytes(data: bytes, chance: Random) -> bytes:
    """Flip bits, cut a piece out, double or insert one, or cut the end off."""
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((1, 2, 16, 1000)))
    kind = chance.randrange(5)
    if kind == 0:
        changed = bytearray(data)
        for _ in range(chance.choice((1, 8, 64))):
            changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        return bytes(changed)
    if kind == 1:
        return data[:start] + data[end:]
    if kind == 2:
        return data[:end] + data[start:]
    if kind == 3:
        return data[:start] + chance.randbytes(chance.choice((1, 16, 1000))) + data[start:]
    return data[:start]


def mutate_json(text: bytes, chance: Random) -> bytes:
    """Replace a value by a strange one, remove or misspell a key, or damage the text itself."""
    kind = chance.randrange(8)
    if kind < 5:
        return _mutate_value(json.loads(text), chance)
    if kind == 5:
        return mutate_bytes(text, chance)
    return chance.choice(
        (
            b"[" * DEPTH,
            b'{"inputs":' * DEPTH,
            b"\xef\xbb\xbf" + text,
            text.decode().encode("utf-16"),
            text + b"garbage",
            text.replace(b'"inputs"', b'"inputs":[],"inputs"', 1),
            text.replace(b"[", b"[NaN,", 1),
            text.replace(b"[", b"[1e999,", 1),
            text.replace(b"[", b"[" + b"9" * 5000 + b",", 1),
            b"",
            b"null",
            b"\x00" * 100,
        )
    )


def mutate_number(text: bytes, number: bytes, chance: Random) -> bytes:
    """Replace one occurrence of a number by an odd or invalid spelling of a number."""
    return text.replace(number, chance.choice(NUMBERS), 1)


def enlarge_png(file: bytes, chance: Random) -> bytes:
    """A small PNG file that claims to be a huge image."""
    sides = chance.choice(CLAIMED_SIZES)
    changed = bytearray(file)
    changed[IHDR] = struct.pack(">II", *sides)
    changed[29:33] = struct.pack(">I", zlib.crc32(changed[12:29]))
    return bytes(changed)


def gzip_bomb(megabytes: int) -> bytes:
    """`megabytes` of zeros, compressed to a thousandth of that size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(megabytes)), packer.flush()])


def _mutate_value(document: Any, chance: Random) -> bytes:
    document = copy.deepcopy(document)
    places = [*_places(document)]
    holder, key = chance.choice(places)
    kind = chance.randrange(4)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(key, str):
        holder[f"{key}_"] = holder.pop(key)
    elif kind == 2 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[key] = chance.choice(WEIRD)
    return json.dumps(document).encode()


def _places(node: Any) -> list[tuple[Any, Any]]:
    """The place of every value in the document, as (container, key); only some of a long list of numbers."""
    found: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        for key, value in node.items():
            found += [(node, key), *_places(value)]
    elif isinstance(node, list):
        for index, value in list(enumerate(node))[:4]:
            found += [(node, index), *_places(value)]
    return found
