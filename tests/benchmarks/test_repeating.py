"""What is sent to an answer cache, and how a hit is told."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from benchmarks.repeating import Mix, is_hit
from benchmarks.workloads import JPEG, RAW224
from topfive_loadgen.http1 import Response


def answer(timing: bytes) -> Response:
    return Response(200, b"", b"HTTP/1.1 200 OK\r\nServer-Timing: " + timing)


def test_photos_are_told_apart_by_their_bytes_and_not_by_their_pixels() -> None:
    requests = Mix(JPEG, None, None, 1, distinct=200).requests()
    assert len(set(requests)) == len(requests) == 200
    one, other = (np.asarray(Image.open(io.BytesIO(requests[at].partition(b"\r\n\r\n")[2]))) for at in (0, 64))
    assert np.array_equal(one, other)
    raw = Mix(RAW224, None, None, 1, distinct=70).requests()
    assert len(set(raw)) == 70


def test_a_mix_asks_most_for_what_is_most_popular() -> None:
    requests = Mix("small", 1.1, None, 1, distinct=50, length=500).requests()
    counts = sorted((requests.count(each) for each in set(requests)), reverse=True)
    assert len(requests) == 500
    assert counts[0] > 3 * counts[5]


def test_a_hit_is_told_by_the_header() -> None:
    assert is_hit(answer(b"cache;desc=hit;dur=0.1, total;dur=1.0"))
    assert not is_hit(answer(b"cache;desc=miss;dur=0.1, total;dur=1.0"))
    assert not is_hit(answer(b"total;dur=1.0"))
