"""The order of the windows, and the requests."""

from collections import Counter

import numpy as np
import pytest

from benchmarks import workloads
from benchmarks.bench import interleave
from benchmarks.figures import CONFIGS
from topfive_loadgen.http1 import Response


def test_every_window_comes_once_and_begins_elsewhere_each_round() -> None:
    """What is measured does not depend on the round; what comes first does."""
    rounds = [interleave(CONFIGS, [1, 2, 4, 8, 16], turn=turn / 3) for turn in range(3)]
    assert all(Counter(steps) == Counter([*CONFIGS, 1, 2, 4, 8, 16]) for steps in rounds)
    assert len({str(steps[0]) for steps in rounds}) == 3


def test_service_and_bare_windows_alternate() -> None:
    """With twice as many of one kind, no three of it stand together."""
    kinds = [isinstance(step, int) for step in interleave(CONFIGS, [1, 2, 4, 8, 16], turn=0)]
    assert all(any(kinds[start : start + 3]) for start in range(len(kinds) - 2))


def test_a_request_says_what_it_carries() -> None:
    """Raw pixels with their size in the query, a JPEG file as it is, each with its length."""
    raw = workloads.request(np.full((2, 3, 3), 7, np.uint8))
    assert raw.startswith(b"POST /v1/classify?height=2&width=3 HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 18\r\n" in raw
    assert raw.endswith(b"\r\n\r\n" + bytes([7] * 18))
    assert workloads.request(b"\xff\xd8").endswith(b"Content-Type: image/jpeg\r\nContent-Length: 2\r\n\r\n\xff\xd8")


def test_packaged_photos_are_the_same_each_time_and_of_mixed_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder of photos two processes still build the same images."""
    monkeypatch.setattr(workloads, "COUNT", 32)
    workloads.load.cache_clear()
    first = workloads.load(None)
    workloads.load.cache_clear()
    again = workloads.load(None)
    workloads.load.cache_clear()
    assert first[workloads.JPEG] == again[workloads.JPEG]
    assert len({image.shape for image in first[workloads.MIXED] if isinstance(image, np.ndarray)}) > 4
    assert {np.shape(image) for image in first[workloads.RAW224]} == {(224, 224, 3)}


@pytest.mark.parametrize(
    ("response", "right"),
    [
        (Response(200, b'{"index":7}' * 5), True),
        (Response(200, b'{"index": 8}' + b'{"index":7}' * 4), True),
        (Response(200, b'{"index":9}' + b'{"index":7}' * 4), False),
        (Response(200, b'{"index":7}' * 4), False),
        (Response(429, b'{"index":7}' * 5), False),
        (Response(200, b""), False),
    ],
)
def test_a_right_answer_has_five_predictions_the_first_allowed(response: Response, right: bool) -> None:
    """Anything else counts as wrong, and makes the run invalid."""
    assert workloads.is_right(response, {7, 8}) is right
