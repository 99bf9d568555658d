"""Bodies are inflated to exactly what was deflated, within their bounds; answers are deflated as clients want them."""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from topfive.ground.errors import MalformedRequest, QueueFull, TooLarge, UnsupportedMediaType
from topfive.http.bodies.compression import coding_of, coding_wanted, deflate, inflate

COMPRESS: Final[dict[bytes, Callable[[bytes], bytes]]] = {b"gzip": gzip.compress, b"deflate": zlib.compress}
DECOMPRESS: Final[dict[bytes, Callable[[bytes], bytes]]] = {b"gzip": gzip.decompress, b"deflate": zlib.decompress}
codings = st.sampled_from(sorted(COMPRESS))


async def at_once(call: Callable[..., Any], *arguments: Any) -> Any:
    """Runs a call on this thread."""
    return call(*arguments)


def inflated(body: bytes, coding: bytes, *, limit: int = 10**9, most: int = 10**9) -> bytes:
    """`body` inflated, when memory has room for `most` bytes; what is charged is what comes out."""
    charged = 0

    def charge(nbytes: int) -> None:
        nonlocal charged
        charged += nbytes
        if charged > most:
            raise QueueFull("memory is spent")

    whole = asyncio.run(inflate(body, coding, limit=limit, charge=charge, run=at_once))
    assert charged == len(whole)
    return whole


@given(st.binary(max_size=3000), codings, st.integers(0, 9))
def test_what_was_deflated_is_inflated(body: bytes, coding: bytes, level: int) -> None:
    deflater = zlib.compressobj(level, wbits=31 if coding == b"gzip" else 15)
    assert inflated(deflater.compress(body) + deflater.flush(), coding) == body
    assert DECOMPRESS[coding](deflate(body, coding)) == body


@pytest.mark.parametrize("coding", sorted(COMPRESS))
@pytest.mark.parametrize("size", [0, 1, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 8 << 20, 9_999_999])
@pytest.mark.parametrize("make", [bytes, random.Random(7).randbytes], ids=["zeros", "noise"])
def test_a_body_of_many_steps_is_inflated_whole(coding: bytes, size: int, make: Callable[[int], bytes]) -> None:
    """Around the sizes at which a step of output, or one of input, is just full."""
    body = make(size)
    assert inflated(COMPRESS[coding](body), coding) == body


@pytest.mark.parametrize("coding", sorted(COMPRESS))
@pytest.mark.parametrize("padding", range(-12, 13))
def test_a_stream_may_end_anywhere_around_a_step_of_input(coding: bytes, padding: int) -> None:
    """Also with its check sum in the next step."""
    body = random.Random(padding).randbytes((1 << 20) + padding)
    deflater = zlib.compressobj(0, wbits=31 if coding == b"gzip" else 15)
    stream = deflater.compress(body) + deflater.flush()
    assert inflated(stream, coding) == body
    with pytest.raises(MalformedRequest, match="ends before"):
        inflated(stream[:-1], coding)
    with pytest.raises(MalformedRequest, match="bytes follow the end"):
        inflated(stream + b"x", coding)


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=300), codings, st.data())
def test_a_damaged_stream_is_refused_unless_it_is_whole_all_the_same(
    body: bytes, coding: bytes, data: st.DataObject
) -> None:
    stream = bytearray(COMPRESS[coding](body))
    for _ in range(data.draw(st.integers(0, 2))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(stream[: data.draw(st.integers(0, len(stream)))]) + data.draw(st.binary(max_size=3))
    theirs = zlib.decompressobj(31 if coding == b"gzip" else 15)
    try:
        expected = theirs.decompress(damaged)
        whole = theirs.eof and not theirs.unused_data
    except zlib.error:
        expected, whole = b"", False
    if whole:
        assert inflated(damaged, coding) == expected
    else:
        with pytest.raises(MalformedRequest):
            inflated(damaged, coding)


@given(st.integers(0, 2000), st.integers(0, 2000), codings)
def test_no_more_is_inflated_than_is_taken(size: int, limit: int, coding: bytes) -> None:
    body = COMPRESS[coding](bytes(size))
    if size > limit:
        with pytest.raises(TooLarge, match=f"inflates to more than {limit} bytes"):
            inflated(body, coding, limit=limit)
        with pytest.raises(QueueFull):
            inflated(body, coding, most=limit)
    else:
        assert len(inflated(body, coding, limit=limit, most=limit)) == size


def test_a_bomb_is_given_up_at_the_first_step_over_the_limit() -> None:
    steps: list[int] = []

    async def counting(call: Callable[..., bytes], *arguments: Any) -> bytes:
        part = call(*arguments)
        steps.append(len(part))
        return part

    bomb = gzip.compress(bytes(100 << 20), 1)
    with pytest.raises(TooLarge):
        asyncio.run(inflate(bomb, b"gzip", limit=10 << 20, charge=lambda nbytes: None, run=counting))
    assert steps == [4 << 20] * 3


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (b"", b""),
        (b"identity", b""),
        (b" Identity ", b""),
        (b"gzip", b"gzip"),
        (b"GZIP", b"gzip"),
        (b"deflate", b"deflate"),
    ],
)
def test_a_known_coding_is_known(header: bytes, coding: bytes) -> None:
    assert coding_of(header) == coding


@pytest.mark.parametrize("header", [b"br", b"gzip, gzip", b"gzip,", b"gzip;q=1", b"x-gzip", b"*", b"\xff", b"x" * 5000])
def test_any_other_coding_is_refused(header: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match="is not served; send gzip, deflate, or no encoding") as refusal:
        coding_of(header)
    assert len(str(refusal.value)) < 200


names = st.sampled_from(["gzip", "deflate", "identity", "br", "zstd", "*", "GZIP", "x-gzip"])
weights = st.none() | st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0])


@given(st.lists(st.tuples(names, weights), max_size=6), st.sampled_from([",", ", ", " , "]))
def test_the_first_of_the_most_wanted_codings_is_chosen(choices: list[tuple[str, float | None]], comma: str) -> None:
    header = comma.join(name if weight is None else f"{name};q={weight}" for name, weight in choices)
    known = [
        (name.lower(), 1.0 if weight is None else weight)
        for name, weight in choices
        if name.lower() in {"gzip", "deflate", "identity"}
    ]
    most = max((weight for _, weight in known), default=0.0)
    chosen = next((name for name, weight in known if weight == most > 0), "identity")
    assert coding_wanted(header.encode()) == (b"" if chosen == "identity" else chosen.encode())


@given(st.binary(max_size=60))
@example(b"gzip;q=nan")
@example(b"gzip;q=")
@example(b";;q=;,=")
def test_any_header_is_answered_in_some_way(header: bytes) -> None:
    assert coding_wanted(header) in {b"", b"gzip", b"deflate"}


def test_a_header_of_no_end_is_not_read_to_its_end() -> None:
    assert coding_wanted(b"br," * 30 + b"gzip") == b"gzip"
    assert coding_wanted(b"br," * 1000 + b"gzip") == b""
