"""What is read from answers, of every route."""

import json
import struct

import pytest

from benchmarks import answers
from benchmarks.answers import Told
from topfive_loadgen.http1 import Response

CLASSIFY = {"model": "m", "version": "3", "predictions": [{"label": "cat", "index": 2, "probability": 0.5}]}
LABELS = ["cat", "dog", "fox", "eel"]


def ok(document: object, head: bytes = b"HTTP/1.1 200 OK") -> Response:
    return Response(200, json.dumps(document).encode(), head)


def outputs(**more: object) -> list[dict[str, object]]:
    return [
        {"name": "indices", "datatype": "INT64", "shape": [2, 2], "data": [1, 2, 3, 4]},
        {"name": "classes", "datatype": "BYTES", "shape": [2, 2], "data": LABELS},
        {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0.5, 0.25, 0.75, 0.125]},
    ]


def binary_answer() -> Response:
    strings = b"".join(struct.pack("<I", len(label)) + label.encode() for label in LABELS)
    numbers, shares = struct.pack("<4q", *range(4)), struct.pack("<4f", 0.5, 0.25, 0.75, 0.125)
    listed = [
        {key: value for key, value in one.items() if key != "data"} | {"parameters": {"binary_data_size": len(tensor)}}
        for one, tensor in zip(outputs(), (numbers, strings, shares), strict=True)
    ]
    head = json.dumps({"model_name": "m", "model_version": "3", "outputs": listed}).encode()
    fields = f"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: {len(head)}".encode()
    return Response(200, head + numbers + strings + shares, fields)


@pytest.mark.parametrize(
    ("response", "labels"),
    [
        (ok(CLASSIFY), ("cat",)),
        (ok({"version": "3", "images": [CLASSIFY, CLASSIFY]}), ("cat", "cat")),
        (ok({"model_name": "m", "model_version": "3", "outputs": outputs()}), ("cat", "fox")),
        (binary_answer(), ("cat", "fox")),
    ],
)
def test_version_and_first_labels_are_read_on_every_route(response: Response, labels: tuple[str, ...]) -> None:
    """One image or several, JSON or binary, wherever the tensor of labels lies."""
    assert answers.told(response) == Told("3", labels)


@pytest.mark.parametrize(
    ("body", "read"),
    [(b'{"error":"too much","code":"queue_full"}', "queue_full"), (b"Bad Gateway", "Bad Gateway"), (b"[]", "[]")],
)
def test_of_an_error_its_code_is_read(body: bytes, read: str) -> None:
    assert answers.told(Response(429, body)) == read


def test_labels_that_tie_with_the_first_are_right_too() -> None:
    """Within what the graphs are held to; the next one is not."""
    given = [{"label": label, "index": index, "probability": share} for index, (label, share) in enumerate(SHARES)]
    response = ok({"version": "1", "predictions": given})
    assert answers.likely_labels(response) == [frozenset({"a", "b"})]
    assert answers.likely_indices(response) == {0, 1}


SHARES = [("a", 0.4), ("b", 0.398), ("c", 0.3)]


def test_the_time_of_the_batch_is_read_from_the_header() -> None:
    timing = b"HTTP/1.1 200 OK\r\nserver-timing: decode;dur=1.0, inference;dur=12.500, total;dur=20"
    assert answers.top_and_inference(ok(CLASSIFY, timing)) == (2, 0.0125)
    assert answers.top_and_inference(Response(504, b"{}")) == (None, 0.0)
