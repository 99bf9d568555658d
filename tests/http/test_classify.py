"""`POST /v1/classify` over real HTTP: every kind of body, and every row of the error table."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import shutil
import signal
import subprocess
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.conftest import Encode, Photo
from tests.testkit.serving_process import (
    RAW,
    Answer,
    HeldRequest,
    ServingProcess,
    ask,
    classify_path,
    read_answer,
    serving,
)
from tests.testkit.tiny_models import (
    HIGHEST_VALUE,
    WAITING_CONFIG,
    copy_real_repository,
    endless_start,
    write_tiny_repository,
)

CATS = {"tabby", "tiger cat", "Egyptian cat"}
CROPS = "efficientnet_lite0_classify"
CROP_BYTES = 224 * 224 * 3
TO_CROPS = {"model": CROPS, "height": 224, "width": 224}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """One request in flight at a time, at most 1000 bytes of bodies."""
    repository = write_tiny_repository(tmp_path_factory.mktemp("strict"))
    flags = ("--max-in-flight-requests", "1", "--max-body-bytes", "1000", "--max-in-flight-bytes", "1000")
    with serving("--model-repository", str(repository), *flags) as process:
        yield process


def holding_service(
    repository: Path, policy: str, *, max_batch_size: int = 16
) -> AbstractContextManager[ServingProcess]:
    """A service whose batches leave when they are full, or after an hour: what is sent to it waits in the queue."""
    copy_real_repository(
        repository,
        classify_replacements={
            "max_batch_size: 16": f"max_batch_size: {max_batch_size}",
            "max_queue_delay_microseconds: 0": "max_queue_delay_microseconds: 3600000000",
            "max_queue_size: 256": policy,
        },
    )
    return serving("--backend", "null", "--model-repository", str(repository))


def raw(photo: Photo, **query: object) -> tuple[str, bytes]:
    """Path and body of a request with raw pixels."""
    return classify_path(height=photo.shape[-3], width=photo.shape[-2], **query), photo.tobytes()


def classify_raw(service: ServingProcess, photo: Photo, **query: object) -> Answer:
    path, body = raw(photo, **query)
    return service.ask("POST", path, body, {"Content-Type": RAW})


def assert_same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    """The same labels with the same probabilities, up to the last bits in which thread and batch counts differ."""
    assert [each["index"] for each in one] == [each["index"] for each in other]
    assert [each["label"] for each in one] == [each["label"] for each in other]
    expected = [each["probability"] for each in other]
    assert [each["probability"] for each in one] == pytest.approx(expected, abs=1e-4)


def form(*parts: tuple[str, str | None, bytes], boundary: str = "xyz") -> tuple[bytes, str]:
    """A multipart body of (field, media type, data), and its Content-Type."""
    body = b""
    for field, media_type, data in parts:
        kind = f"Content-Type: {media_type}\r\n" if media_type else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="f"\r\n{kind}\r\n'
        body += head.encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def text_form(field: str, data: bytes, *headers: str) -> bytes:
    """A form with one field that is no file; its boundary is that of `form`."""
    head = "\r\n".join(["--xyz", f'Content-Disposition: form-data; name="{field}"', *headers])
    return head.encode() + b"\r\n\r\n" + data + b"\r\n--xyz--\r\n"


# What is answered.


def test_the_answer_is_five_labels_best_first(service: ServingProcess, cat: Photo, encode: Encode) -> None:
    answer = service.classify(encode(cat, "JPEG"), "image/jpeg")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"model", "version", "predictions"}
    assert (answer.json["model"], answer.json["version"]) == ("efficientnet_lite0", "1")
    predictions = answer.json["predictions"]
    assert len(predictions) == len({each["index"] for each in predictions}) == 5
    assert all(set(each) == {"label", "index", "probability"} for each in predictions)
    probabilities = [each["probability"] for each in predictions]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < probabilities[-1] < probabilities[0] < sum(probabilities) <= 1 + 1e-6
    assert set(answer.labels[:3]) == CATS


@pytest.mark.parametrize(("photo", "label"), [("coffee", "espresso"), ("palace", "palace")])
def test_photos_get_their_labels(
    service: ServingProcess, photo: str, label: str, request: pytest.FixtureRequest
) -> None:
    assert classify_raw(service, request.getfixturevalue(photo)).labels[0] == label


@pytest.mark.parametrize(
    ("kind", "media_type", "options"),
    [
        ("PNG", "image/png", {}),
        ("WEBP", "image/webp", {"lossless": True}),
        ("BMP", "image/bmp", {}),
        ("PNG", "IMAGE/PNG; name=cat.png", {}),
    ],
)
def test_lossless_files_get_the_answer_of_their_raw_pixels(
    service: ServingProcess, cat: Photo, encode: Encode, kind: str, media_type: str, options: dict[str, bool]
) -> None:
    answer = service.classify(encode(cat, kind, **options), media_type)
    assert answer.status == 200, answer
    assert_same(answer.json["predictions"], classify_raw(service, cat).json["predictions"])


@pytest.mark.parametrize(("kind", "media_type"), [("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("GIF", "image/gif")])
def test_lossy_files_of_a_cat_show_a_cat(
    service: ServingProcess, cat: Photo, encode: Encode, kind: str, media_type: str
) -> None:
    assert service.classify(encode(cat, kind), media_type).labels[0] in CATS


@pytest.mark.parametrize("media_type", ["image/png", None, RAW, "image/*"])
def test_a_form_with_one_file_gets_the_answer_of_the_file(
    service: ServingProcess, cat: Photo, encode: Encode, media_type: str | None
) -> None:
    file = encode(cat, "PNG")
    answer = service.classify(*form(("image", media_type, file)))
    assert answer.status == 200, answer
    assert_same(answer.json["predictions"], service.classify(file, "image/png").json["predictions"])


@pytest.mark.parametrize(
    "media_type",
    [
        *("image/jpg", "image/pjpeg", "image/x-png", "image/*", "image/none", "image/webp", RAW, "binary/octet-stream"),
        *(None, "", "application/x-www-form-urlencoded", "text/plain", "application/json", "x"),
    ],
)
def test_an_image_is_answered_whatever_it_is_announced_as(
    service: ServingProcess, cat: Photo, encode: Encode, media_type: str | None
) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    assert service.ask("POST", "/v1/classify", encode(cat, "PNG"), headers).labels[0] in CATS


def test_bytes_of_no_kind_are_refused_with_what_they_are_and_how_pixels_are_sent(service: ServingProcess) -> None:
    message = service.classify(b"\x01\x02rubbish", RAW).assert_error(422, "undecodable_image")
    assert "01 02 72" in message
    assert "?height= and ?width=" in message


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_a_form_may_hold_several_images_among_other_fields(
    service: ServingProcess, cat: Photo, coffee: Photo, encode: Encode, newline: bytes
) -> None:
    """Of any formats and sizes; each is answered as it is alone, in the order of the parts."""
    files = [encode(coffee, "PNG"), encode(cat, "JPEG", quality=95), encode(cat[:200], "WEBP", lossless=True)]
    parts = [
        b'Content-Disposition: form-data; name="title"' + 2 * newline + b"two of them are cats",
        *(b'Content-Disposition: form-data; name="files[]"; filename="f"' + 2 * newline + file for file in files),
        b'Content-Disposition: form-data; name="unused"; filename=""' + 2 * newline,
    ]
    body = b"preamble" + newline + b"".join(b"--b" + newline + part + newline for part in parts) + b"--b--" + newline
    answer = service.classify(body, "multipart/form-data; boundary=b")
    assert answer.status == 200, answer
    assert set(answer.json) == {"model", "version", "images"}
    for file, image in zip(files, answer.json["images"], strict=True):
        assert_same(image["predictions"], service.classify(file).json["predictions"])


def test_one_bad_image_refuses_all_of_them_and_is_named(service: ServingProcess, cat: Photo, encode: Encode) -> None:
    file = encode(cat, "PNG")
    before = service.metric("topfive_images_total", model="efficientnet_lite0")
    answer = service.classify(*form(("a", None, file), ("b", None, file[:9000]), ("c", None, file)))
    assert "part 2 ('b', 'f'): " in answer.assert_error(422, "undecodable_image")
    answer = service.classify(*form(("a", None, file), ("b", None, b"%PDF-1.4")))
    assert "part 2 ('b', 'f'): " in answer.assert_error(415, "unsupported_media_type")
    assert service.metric("topfive_images_total", model="efficientnet_lite0") == before


def test_a_form_takes_a_place_for_each_of_its_images(tmp_path: Path, encode: Encode) -> None:
    """Two may wait: three never could, and two cannot while one does."""
    crop = encode(np.zeros((224, 224, 3), np.uint8), "PNG")
    with holding_service(tmp_path / "models", "max_queue_size: 2") as holding:
        holding.classify(*form(*[("f", None, crop)] * 3)).assert_error(413, "too_large")
        with ThreadPoolExecutor(1) as client:
            waiting = client.submit(holding.classify, *form(("f", None, crop)))
            holding.wait_until(lambda: holding.metric("topfive_queue_items") == 1)
            holding.classify(*form(*[("f", None, crop)] * 2)).assert_error(429, "queue_full")
            holding.signal(signal.SIGTERM)  # nobody waits for company any more
            assert waiting.result().status == 200


def test_json_holds_images_in_base64(service: ServingProcess, cat: Photo, coffee: Photo, encode: Encode) -> None:
    files = [encode(cat, "PNG"), encode(coffee, "PNG")]
    expected = [service.classify(file).json["predictions"] for file in files]
    texts = [base64.b64encode(file).decode() for file in files]
    one = service.classify(json.dumps({"image": {"b64": texts[0]}}).encode(), "application/json")
    assert_same(one.json["predictions"], expected[0])
    for key in ("images", "instances"):
        body = json.dumps({key: [{"b64": text} for text in texts]}).encode()
        answer = service.classify(body, "application/json").json
        for image, predictions in zip(answer["images"], expected, strict=True):
            assert_same(image["predictions"], predictions)
        if key == "instances":
            assert [instance["classes"][0] for instance in answer["predictions"]] == [
                predictions[0]["label"] for predictions in expected
            ]
    bad = json.dumps({"instances": [texts[0], texts[1][:4000]]}).encode()
    assert "'instances[1]': " in service.classify(bad, "application/json").assert_error(422, "undecodable_image")


def test_top_and_threshold_leave_labels_out(service: ServingProcess, cat: Photo, encode: Encode) -> None:
    file = encode(cat, "PNG")
    every = service.classify(file).json["predictions"]
    for top in range(1, 6):
        assert_same(service.classify(file, top=top).json["predictions"], every[:top])
    between = (every[1]["probability"] + every[2]["probability"]) / 2
    assert_same(service.classify(file, threshold=f"{between:.6f}").json["predictions"], every[:2])
    assert service.classify(file, threshold=1).json["predictions"] == []
    listed = service.classify(*form(("a", None, file), ("b", None, file)), top=1).json["images"]
    assert [len(image["predictions"]) for image in listed] == [1, 1]
    message = service.classify(file, top=6).assert_error(400, "malformed_request")
    assert "puts out 5 labels" in message
    assert "export the model again" in message


def test_a_form_may_hold_raw_pixels(service: ServingProcess, cat: Photo) -> None:
    body, content_type = form(("image", RAW, cat.tobytes()))
    answer = service.classify(body, content_type, height=cat.shape[0], width=cat.shape[1])
    assert_same(answer.json["predictions"], classify_raw(service, cat).json["predictions"])


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--form", "image=@cat.jpg"],
        ["--header", "Content-Type: image/jpeg", "--data-binary", "@cat.jpg"],
        ["--header", "Content-Type: image/jpeg", "--header", "Transfer-Encoding: chunked", "--data-binary", "@cat.jpg"],
        ["--header", "Content-Type: image/jpeg", "--header", "Expect: 100-continue", "--data-binary", "@cat.jpg"],
    ],
)
def test_curl_is_understood(
    service: ServingProcess, cat: Photo, encode: Encode, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "cat.jpg").write_bytes(encode(cat, "JPEG"))
    command = ["curl", "--silent", "--show-error", "--fail-with-body", *arguments]
    printed = subprocess.run(
        [*command, f"http://127.0.0.1:{service.port}/v1/classify"], cwd=tmp_path, capture_output=True, check=True
    ).stdout
    assert json.loads(printed)["predictions"][0]["label"] in CATS


def test_several_images_in_one_body_are_answered_in_order(
    service: ServingProcess, cat: Photo, coffee: Photo, palace: Photo
) -> None:
    """`?count=`: each image gets what it gets alone, whatever order they come in."""
    photos = [photo[:300, :400] for photo in (palace, cat, coffee, cat)]
    together = classify_raw(service, np.stack(photos), count=4)
    assert together.status == 200, together
    assert set(together.json) == {"model", "version", "images"}
    assert len(together.json["images"]) == 4
    for photo, answer in zip(photos, together.json["images"], strict=True):
        assert_same(answer["predictions"], classify_raw(service, photo).json["predictions"])


def test_a_count_of_one_is_still_a_list(service: ServingProcess, cat: Photo) -> None:
    answer = classify_raw(service, cat, count=1)
    assert [image["predictions"][0]["label"] in CATS for image in answer.json["images"]] == [True]


def test_a_plain_model_takes_its_own_size(service: ServingProcess, cat: Photo) -> None:
    crop = np.asarray(Image.fromarray(cat).resize((224, 224)))
    answer = classify_raw(service, crop, model=CROPS, version=1)
    assert answer.json["model"] == CROPS
    assert answer.labels[0] in CATS


def test_a_plain_model_decodes_too(service: ServingProcess, cat: Photo, encode: Encode) -> None:
    crop = np.asarray(Image.fromarray(cat).resize((224, 224)))
    answer = service.classify(encode(crop, "PNG"), "image/png", model=CROPS)
    assert_same(answer.json["predictions"], classify_raw(service, crop, model=CROPS).json["predictions"])


@pytest.mark.parametrize("pieces", [1, 7])
def test_a_body_may_come_in_chunks(service: ServingProcess, cat: Photo, pieces: int) -> None:
    path, body = raw(cat)
    size = -(-len(body) // pieces)
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    answer = service.ask("POST", path, iter(chunks), {"Content-Type": RAW})
    assert_same(answer.json["predictions"], classify_raw(service, cat).json["predictions"])


def test_clients_at_once_get_their_own_answers(
    service: ServingProcess, cat: Photo, coffee: Photo, palace: Photo
) -> None:
    """Images of many sizes, interleaved on many connections: nobody gets somebody else's labels."""
    photos = [photo[: 180 + 20 * step, : 220 + 10 * step] for step in range(5) for photo in (cat, coffee, palace)]
    alone = [classify_raw(service, photo).json["predictions"] for photo in photos]
    with ThreadPoolExecutor(len(photos)) as clients:
        together = list(clients.map(lambda photo: classify_raw(service, photo), photos * 3))
    for answer, expected in zip(together, alone * 3, strict=True):
        assert answer.status == 200, answer
        assert_same(answer.json["predictions"], expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (2000, 3), (223, 225)])
def test_awkward_sizes_are_answered(service: ServingProcess, size: tuple[int, int]) -> None:
    answer = classify_raw(service, np.full((*size, 3), 90, np.uint8))
    assert answer.status == 200
    assert len(set(answer.labels)) == 5


# Headers, metrics and the log.


def test_server_timing_says_where_the_time_went(service: ServingProcess, cat: Photo, encode: Encode) -> None:
    answer = service.classify(encode(cat, "PNG"), "image/png")
    entries = [entry.split(";dur=") for entry in answer.headers["server-timing"].split(", ")]
    assert [name for name, _ in entries] == ["decode", "resize", "queue", "inference", "total"]
    assert all(re.fullmatch(r"\d+\.\d{3}", text) for _, text in entries)
    milliseconds = {name: float(text) for name, text in entries}
    total = milliseconds.pop("total")
    assert milliseconds["decode"] > 0
    assert milliseconds["inference"] > 0
    assert sum(milliseconds.values()) <= total + 0.01  # each is rounded


@pytest.mark.parametrize("given", ["7", "4f3a-0", "A" * 128])
def test_a_plain_request_id_is_echoed(service: ServingProcess, given: str) -> None:
    answer = service.ask("POST", "/v1/classify", b"", {"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "---", "a b", "a" * 129, '"quoted"', "\xe9"])
def test_any_other_request_id_is_replaced_by_a_new_one(service: ServingProcess, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-Id": given}
    made = [service.ask("POST", "/v1/classify", b"", headers).headers["x-request-id"] for _ in range(2)]
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in made)
    assert made[0] != made[1]


def test_the_log_line_carries_the_numbers_of_the_header(service: ServingProcess, cat: Photo, encode: Encode) -> None:
    body = encode(cat, "JPEG")
    answer = service.ask("POST", "/v1/classify", body, {"Content-Type": "image/jpeg", "X-Request-Id": "numbers-1"})
    line = json.loads(service.wait_for_log('"numbers-1"'))
    expected = {"route": "/v1/classify", "model": "efficientnet_lite0", "status": 200, "images": 1}
    assert line | expected | {"body_bytes": len(body), "level": "info"} == line
    for entry in answer.headers["server-timing"].split(", "):
        name, text = entry.split(";dur=")
        assert line[f"{name}_seconds"] * 1000 == pytest.approx(float(text), abs=0.002)


def test_the_log_holds_nothing_of_what_was_sent(service: ServingProcess) -> None:
    headers = {"X-Request-Id": "secret-1", "Authorization": "Bearer swordfish"}
    service.ask("POST", "/v1/classify?timeout_ms=5", b"swordfish", {**headers, "Referer": "https://swordfish.example"})
    service.wait_for_log('"secret-1"')
    assert not [line for line in service.log if "swordfish" in line]


def test_answers_are_counted(service: ServingProcess, cat: Photo) -> None:
    model = "efficientnet_lite0"

    def counts() -> list[float]:
        return [
            service.metric("topfive_request_duration_seconds_count", route="/v1/classify", model=model, code="200"),
            service.metric("topfive_stage_duration_seconds_count", model=model, stage="resize"),
            service.metric("topfive_images_total", model=model),
            service.metric("topfive_batch_size_sum", model=CROPS),
        ]

    before = counts()
    assert classify_raw(service, np.stack([cat, cat, cat]), count=3).status == 200
    assert [after - earlier for after, earlier in zip(counts(), before, strict=True)] == [1, 1, 3, 3]
    assert service.metric("topfive_in_flight") == service.metric("topfive_queue_items") == 0


# What is refused, row by row of the error table.

Row = tuple[str, str, str | None, bytes]
"""Id, query, Content-Type, body."""

SIZED = "height=2&width=2"
MALFORMED: list[Row] = [
    ("no height", "width=2", RAW, b"x" * 12),
    ("no width", "height=2", "application/x-www-form-urlencoded", b"x" * 12),
    ("count alone", "count=2", None, b"x" * 12),
    ("size of JSON", SIZED, "application/json", b"{}"),
    ("one byte short", SIZED, RAW, b"x" * 11),
    ("one byte long", SIZED, RAW, b"x" * 13),
    ("wrong count", SIZED + "&count=2", RAW, b"x" * 12),
    ("empty raw body", SIZED, RAW, b""),
    ("empty image", "", "image/jpeg", b""),
    ("unknown parameter", SIZED + "&colour=red", RAW, b"x" * 12),
    ("parameter in capitals", "Height=2&width=2", RAW, b"x" * 12),
    ("doubled parameter", SIZED + "&height=2", RAW, b"x" * 12),
    ("many parameters", "&".join(f"p{number}=1" for number in range(500)), RAW, b""),
    ("zero", "height=0&width=2", RAW, b""),
    ("zero count", SIZED + "&count=0", RAW, b""),
    ("negative", "height=-2&width=-2", RAW, b"x" * 12),
    ("underscore", "height=1_0&width=2", RAW, b"x" * 60),
    ("plus", "height=%2B2&width=2", RAW, b"x" * 12),
    ("blank", "height=&width=2", RAW, b"x" * 12),
    ("space", "height=%202&width=2", RAW, b"x" * 12),
    ("fraction", "height=2.0&width=2", RAW, b"x" * 12),
    ("other digits", "height=%D9%A2&width=2", RAW, b"x" * 12),
    ("many digits", f"height={'9' * 5000}&width=2", RAW, b"x" * 12),
    ("not UTF-8", "model=%ff", RAW, b"x" * 12),
    ("size of an encoded image", SIZED, "image/png", b"x"),
    ("no timeout at all", SIZED + "&timeout_ms=0", RAW, b"x" * 12),
    ("wrong size for a plain model", f"model={CROPS}&{SIZED}", RAW, b"x" * 12),
    ("form without boundary", "", "multipart/form-data", b"x"),
    ("form with an endless boundary", "", f"multipart/form-data; boundary={'b' * 71}", b"x"),
    ("form that is none", "", "multipart/form-data; boundary=b", b"x"),
    ("form cut short", "", form()[1], form(("image", None, b"x"))[0][:-9]),
    ("form without a part", "", form()[1], form()[0]),
    ("form with text only", "", form()[1], text_form("title", b"x")),
    ("form with two files of raw pixels", SIZED, form()[1], form(("a", RAW, b"x" * 12), ("b", RAW, b"x" * 12))[0]),
    ("form with an image and its size", SIZED, form()[1], form(("image", "image/png", b"x" * 12))[0]),
    (
        "form in quoted-printable",
        "",
        form()[1],
        text_form("image", b"x", "Content-Transfer-Encoding: quoted-printable"),
    ),
    ("JSON that is none", "", "application/json", b'{"image": '),
    ("JSON of another shape", "", "application/json", b'{"picture": {"b64": "/9j/"}}'),
    ("JSON with two shapes", "", "application/json", b'{"image": {"b64": "/9j/"}, "images": []}'),
    ("JSON with pixels", "", "application/json", b'{"instances": [[[1, 2, 3]]]}'),
    ("JSON with bad base64", "", "application/json", b'{"image": {"b64": "/9j/*A=="}}'),
    ("JSON with an empty image", "", "application/json", b'{"image": {"b64": ""}}'),
    ("JSON with no images", "", "application/json", b'{"instances": []}'),
    ("more labels than there are", "top=6", None, b"x"),
    ("no labels", "top=0", None, b"x"),
    ("threshold above one", "threshold=1.01", None, b"x"),
    ("negative threshold", "threshold=-0.1", None, b"x"),
    ("threshold that is none", "threshold=nan", None, b"x"),
    ("form with a wrong length", SIZED, form()[1], form(("image", RAW, b"x" * 11))[0]),
]
UNKNOWN: list[Row] = [
    ("model", "model=resnet", RAW, b""),
    ("empty model", "model=", RAW, b""),
    ("hidden model", "model=efficientnet_lite0_resize", RAW, b""),
    ("folder", "model=../model_repository", RAW, b""),
    ("version", "version=2", RAW, b""),
]
TOO_LARGE: list[Row] = [
    ("dimension", "height=40000&width=1", RAW, b""),
    ("pixels", "height=6000&width=6000", RAW, b""),
    ("product beyond 64 bits", "height=4294967296&width=4294967296", RAW, b""),
    ("count", SIZED + "&count=65", RAW, b""),
    ("form", "height=40000&width=1", form()[1], form(("image", RAW, b"x"))[0]),
]
UNSUPPORTED: list[Row] = [
    ("PDF", "", "image/jpeg", b"%PDF-1.7\n"),
    ("SVG", "", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ("in a form", "", form()[1], form(("image", "application/pdf", b"%PDF-1.7"))[0]),
]
"""Files of known kinds that are not served; what their type says does not matter."""


def refusals(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("query", "kind", "body"), [pytest.param(*row[1:], id=row[0]) for row in rows])


def refused(service: ServingProcess, query: str, kind: str | None, body: bytes) -> Answer:
    """The answer to a bad request; the same connection then serves a good one."""
    with service.connect() as connection:
        headers = {} if kind is None else {"Content-Type": kind}
        answer = ask(connection, "POST", f"/v1/classify?{query}", body, headers)
        good = ask(connection, "POST", classify_path(height=1, width=1), b"rgb", {"Content-Type": RAW})
        assert good.status == 200
    assert answer.headers["x-request-id"]
    return answer


@refusals(MALFORMED)
def test_400_for_what_cannot_mean_anything(service: ServingProcess, query: str, kind: str, body: bytes) -> None:
    refused(service, query, kind, body).assert_error(400, "malformed_request")


@pytest.mark.parametrize("length", ["+3", "-1", "1_0", "0x3", "", "٣", "3\r\nContent-Length: 4", "9" * 19, "9" * 40])
def test_400_for_a_bad_content_length(service: ServingProcess, length: str) -> None:
    """Most are stopped by the HTTP parser, in plain text and with the connection closed; none reaches a graph."""
    with service.open_socket() as connection:
        head = "POST /v1/classify HTTP/1.1\r\nHost: test\r\nContent-Type: image/png\r\n"
        connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
        assert read_answer(connection).status == 400
    assert classify_raw(service, np.zeros((1, 1, 3), np.uint8)).status == 200


def test_400_for_a_chunked_body_of_the_wrong_length(service: ServingProcess) -> None:
    path = classify_path(height=2, width=2)
    for pieces in ([b"x" * 11], [b"x" * 12, b"x"], []):
        answer = service.ask("POST", path, iter(pieces), {"Content-Type": RAW})
        answer.assert_error(400, "malformed_request")


@pytest.mark.parametrize("kind", ["image/png", "multipart/form-data; boundary=b"])
def test_400_for_an_empty_chunked_body(service: ServingProcess, kind: str) -> None:
    """As with `Content-Length: 0`: there is no image, rather than a damaged one."""
    answer = service.ask("POST", "/v1/classify", iter([]), {"Content-Type": kind})
    answer.assert_error(400, "malformed_request")


@refusals(UNKNOWN)
def test_404_for_a_model_or_version_that_is_not_served(
    service: ServingProcess, query: str, kind: str, body: bytes
) -> None:
    message = refused(service, query, kind, body).assert_error(404, "unknown_model")
    assert "served are: " in message


@pytest.mark.parametrize("path", ["/v1/classify/", "/v1", "/v1/classify/x", "//v1/classify", "/V1/CLASSIFY"])
def test_404_for_another_path(service: ServingProcess, path: str) -> None:
    service.ask("POST", path, b"rgb", {"Content-Type": RAW}).assert_error(404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_405_for_another_method(service: ServingProcess, method: str) -> None:
    answer = service.ask(method, "/v1/classify")
    answer.assert_error(405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@refusals(TOO_LARGE)
def test_413_for_an_image_over_a_limit(service: ServingProcess, query: str, kind: str, body: bytes) -> None:
    refused(service, query, kind, body).assert_error(413, "too_large")


def test_413_for_a_small_file_of_a_large_image(service: ServingProcess) -> None:
    """The pixels are counted before they are made: a bomb stays unexploded."""
    file = io.BytesIO()
    Image.new("1", (25_001, 1_000)).save(file, "PNG")
    assert len(file.getvalue()) < 10_000
    service.classify(file.getvalue(), "image/png").assert_error(413, "too_large")


def test_413_for_a_body_over_the_limit(strict: ServingProcess) -> None:
    for body in (b"x" * 1001, iter([b"x" * 600, b"x" * 600])):
        strict.classify(body, "image/png").assert_error(413, "too_large")
    assert strict.classify(b"x" * 1000, "image/png").status == 422


def test_413_for_more_images_than_can_ever_wait(tmp_path: Path) -> None:
    """To come again later, as 429 says, would never help."""
    with holding_service(tmp_path / "models", "max_queue_size: 2") as holding:
        answer = holding.classify(bytes(3 * CROP_BYTES), count=3, **TO_CROPS)
        answer.assert_error(413, "too_large")


@refusals(UNSUPPORTED)
def test_415_for_a_format_that_is_not_served(
    service: ServingProcess, query: str, kind: str | None, body: bytes
) -> None:
    message = refused(service, query, kind, body).assert_error(415, "unsupported_media_type")
    assert "which is not served" in message
    assert "JPEG, PNG" in message


@pytest.mark.parametrize("coding", ["br", "zstd", "x-gzip", "gzip, gzip", "identity, gzip", "gzip;q=1", "*"])
def test_415_for_a_content_encoding_that_is_not_served(service: ServingProcess, coding: str) -> None:
    """And which ones are, as RFC 9110 has it."""
    headers = {"Content-Type": RAW, "Content-Encoding": coding}
    answer = service.ask("POST", classify_path(height=1, width=1), b"rgb", headers)
    answer.assert_error(415, "unsupported_media_type")
    assert answer.headers["accept-encoding"] == "gzip, deflate"


def test_415_for_two_codings_on_two_lines(service: ServingProcess) -> None:
    """Lines of one name are one list: none hides another."""
    with service.open_socket() as connection:
        head = f"POST {classify_path(height=1, width=1)} HTTP/1.1\r\nHost: test\r\nContent-Type: {RAW}\r\n"
        coded = "Content-Encoding: gzip\r\n" * 2
        connection.sendall(f"{head}{coded}Content-Length: 3\r\n\r\nrgb".encode())
        read_answer(connection).assert_error(415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZip", gzip.compress)]
)
def test_a_compressed_body_gets_the_answer_of_what_is_in_it(
    service: ServingProcess, cat: Photo, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    path, body = raw(cat)
    answer = service.ask("POST", path, compress(body), {"Content-Type": RAW, "Content-Encoding": coding})
    assert answer.status == 200, answer
    assert_same(answer.json["predictions"], classify_raw(service, cat).json["predictions"])


def test_a_compressed_form_is_read(service: ServingProcess, cat: Photo, encode: Encode) -> None:
    body, kind = form(("image", "image/png", encode(cat, "PNG")))
    headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
    assert service.ask("POST", "/v1/classify", gzip.compress(body), headers).labels[0] in CATS


@pytest.mark.parametrize(
    ("query", "nbytes", "status"),
    [
        ("height=40000&width=1", 120_000, 413),
        ("height=6000&width=6000", 1, 413),
        (SIZED + "&count=65", 65 * 12, 413),
        (SIZED, 11, 400),
        (SIZED, 13, 400),
        (SIZED, 80_000_001, 413),
    ],
)
def test_compression_is_no_way_past_a_limit(service: ServingProcess, query: str, nbytes: int, status: int) -> None:
    headers = {"Content-Type": RAW, "Content-Encoding": "gzip"}
    answer = service.ask("POST", f"/v1/classify?{query}", gzip.compress(bytes(nbytes)), headers)
    assert answer.status == status, answer


@pytest.mark.parametrize("coding", ["identity", "Identity"])
def test_no_content_encoding_is_served(service: ServingProcess, coding: str) -> None:
    """Content codings are case-insensitive."""
    headers = {"Content-Type": RAW, "Content-Encoding": coding}
    assert service.ask("POST", classify_path(height=1, width=1), b"rgb", headers).status == 200


def test_the_bytes_count_not_the_announced_type(service: ServingProcess, cat: Photo, encode: Encode) -> None:
    file = encode(cat, "PNG")
    assert service.classify(file, "image/jpeg").labels == service.classify(file, "image/png").labels


@pytest.mark.parametrize(
    ("media_type", "damage"),
    [
        ("image/jpeg", lambda file: b"hello"),
        ("image/png", lambda file: file[:200]),
        ("image/png", lambda file: file[:2000]),
        ("image/png", lambda file: file[:20] + b"\0\0\0\0" + file[24:]),
    ],
    ids=["no image", "cut in its head", "cut", "damaged"],
)
def test_422_for_bytes_that_are_not_the_image_they_claim_to_be(
    service: ServingProcess, cat: Photo, encode: Encode, media_type: str, damage: Callable[[bytes], bytes]
) -> None:
    answer = refused(service, "", media_type, damage(encode(cat, "PNG")))
    answer.assert_error(422, "undecodable_image")


def test_429_when_too_many_requests_are_in_flight(tmp_path: Path) -> None:
    """The request in excess is told when to come again; those that wait are not disturbed."""
    repository = write_tiny_repository(tmp_path, classify_config=WAITING_CONFIG)
    flags = ("--model-repository", str(repository), "--backend", "null", "--max-in-flight-requests", "2")
    with serving(*flags) as waiting, ThreadPoolExecutor(2) as clients:
        late = HeldRequest(waiting, classify_path(height=2, width=2), bytes(12), RAW)
        held = [clients.submit(waiting.classify, bytes(12), height=2, width=2) for _ in range(2)]
        waiting.wait_until(lambda: waiting.metric("topfive_in_flight") == 2)
        answer = waiting.classify(bytes(12), height=2, width=2)
        assert "2 are in flight" in answer.assert_error(429, "queue_full")
        assert re.fullmatch("[1-9][0-9]*", answer.headers["retry-after"])
        late.send()  # there was room when its head came, and there is none for its image
        late.answer().assert_error(429, "queue_full")
        assert waiting.metric("topfive_rejected_total", reason="queue_full") == 2
        assert waiting.metric("topfive_in_flight") == 2
        waiting.signal(signal.SIGTERM)  # nobody waits for company any more
        assert [answer.result().status for answer in held] == [200, 200]


def test_a_body_on_its_way_takes_nothing_from_others(strict: ServingProcess) -> None:
    """Neither the one place nor a byte, whatever is announced: 50 clients announce all the memory there is, each."""
    held = [HeldRequest(strict, classify_path(), bytes(1000), "image/png") for _ in range(50)]
    assert strict.metric("topfive_in_flight") == strict.metric("topfive_in_flight_bytes") == 0
    assert strict.classify(b"\x07" * 12, height=2, width=2).labels[0] == "value 7"
    for request in held:
        request.socket.close()
    strict.wait_for_log('"status":499', count=50)


def test_what_has_come_of_a_body_counts_and_is_given_back(strict: ServingProcess) -> None:
    """By then those who find no room for the rest of theirs are refused, and those who do are served."""
    first, second = (HeldRequest(strict, classify_path(), bytes(1000), "image/png") for _ in range(2))
    first.send(600)
    strict.wait_until(lambda: strict.metric("topfive_in_flight_bytes") == 600)
    answer = strict.classify(bytes(401), "image/png")
    assert "600 of at most 1000 are held and this body has 401 more" in answer.assert_error(429, "queue_full")
    assert int(answer.headers["retry-after"]) >= 1
    second.send(500)  # it was let in before the first had sent anything
    second.answer().assert_error(429, "queue_full")
    assert strict.metric("topfive_in_flight_bytes") == 600
    assert strict.classify(b"\x07" * 12, height=2, width=2).labels[0] == "value 7"
    first.send()
    first.answer().assert_error(422, "undecodable_image")
    assert strict.metric("topfive_in_flight_bytes") == 0
    strict.classify(bytes(1000), "image/png").assert_error(422, "undecodable_image")


def test_a_client_that_hangs_up_gives_back_what_it_held(strict: ServingProcess) -> None:
    held = HeldRequest(strict, classify_path(height=2, width=2), b"\x07" * 12, RAW)
    held.send(6)
    strict.wait_until(lambda: strict.metric("topfive_in_flight_bytes") == 6)
    refused = strict.metric("topfive_rejected_total", reason="client_disconnected")
    held.socket.close()
    strict.wait_until(lambda: strict.metric("topfive_in_flight_bytes") == 0)
    assert strict.metric("topfive_rejected_total", reason="client_disconnected") == refused + 1
    assert strict.metric("topfive_in_flight") == 0
    assert strict.classify(b"\x07" * 12, height=2, width=2).status == 200


def test_429_when_the_queue_is_full(tmp_path: Path) -> None:
    """Nothing of the refused request is kept, and those that wait are not disturbed: the next image fills the batch."""
    with holding_service(tmp_path / "models", "max_queue_size: 3", max_batch_size=3) as holding:
        with ThreadPoolExecutor(1) as client:
            waiting = client.submit(holding.classify, bytes(2 * CROP_BYTES), count=2, **TO_CROPS)
            holding.wait_until(lambda: holding.metric("topfive_queue_items") == 2)
            answer = holding.classify(bytes(2 * CROP_BYTES), count=2, **TO_CROPS)
            answer.assert_error(429, "queue_full")
            assert int(answer.headers["retry-after"]) >= 1
            assert holding.metric("topfive_queue_items") == 2
            assert holding.metric("topfive_queue_bytes") == 2 * CROP_BYTES
            assert holding.classify(bytes(CROP_BYTES), **TO_CROPS).status == 200
            assert len(waiting.result().json["images"]) == 2
        assert holding.metric("topfive_queue_items") == 0


def test_slow_bodies_keep_no_place_from_others(tmp_path: Path) -> None:
    """However many are on their way: the queue is for images that are here."""
    with holding_service(tmp_path / "models", "max_queue_size: 3", max_batch_size=3) as holding:
        path = classify_path(**TO_CROPS)
        slow = [HeldRequest(holding, path, bytes(CROP_BYTES), RAW) for _ in range(6)]
        assert holding.classify(bytes(3 * CROP_BYTES), count=3, **TO_CROPS).status == 200
        for request in slow:
            request.send()
        assert [request.answer().status for request in slow] == [200] * 6


def test_503_while_the_models_warm_up(tmp_path: Path) -> None:
    """Alive, not ready, and the client is told when to come again."""
    with ServingProcess("--model-repository", str(endless_start(tmp_path / "models"))) as starting:
        starting.wait_for_log("Application startup complete")
        for method, path in (("POST", "/v1/classify"), ("GET", "/v2/health/ready")):
            answer = starting.ask(method, path, b"x", {"Content-Type": "image/png"})
            answer.assert_error(503, "not_ready")
            assert int(answer.headers["retry-after"]) >= 1
        assert starting.ask("GET", "/v2/health/live").json == {"live": True, "state": "starting"}
        assert starting.metric("topfive_ready") == 0


def test_504_when_the_deadline_passes_in_the_queue(tmp_path: Path) -> None:
    """The item leaves the queue and never reaches the graph."""
    with holding_service(tmp_path / "models", "max_queue_size: 4") as holding:
        body = bytes(CROP_BYTES)
        for query in ({"timeout_ms": 20}, {"timeout_ms": 20, "model": CROPS}):
            answer = holding.classify(body, height=224, width=224, **query)
            message = answer.assert_error(504, "deadline_exceeded")
            assert "retry-after" not in answer.headers
            assert re.search(r"after \d+\.\d{3} s in the queue", message)
        assert holding.metric("topfive_batch_size_count") == holding.metric("topfive_queue_items") == 0
        assert holding.metric("topfive_rejected_total", reason="expired") == 2


def test_504_by_the_policy_of_the_model(tmp_path: Path) -> None:
    """Its timeout holds for every request, and a request may set its own only where the policy says so."""
    with holding_service(tmp_path / "models", "default_timeout_microseconds: 20000") as holding:
        body = bytes(CROP_BYTES)
        holding.classify(body, **TO_CROPS).assert_error(504, "deadline_exceeded")
        holding.classify(body, timeout_ms=9, **TO_CROPS).assert_error(400, "malformed_request")


def test_500_tells_the_client_nothing_but_where_to_look(tmp_path: Path) -> None:
    """A graph that fails takes only its own batch with it; the log has the details under the request's id."""
    repository = write_tiny_repository(tmp_path)
    with serving("--model-repository", str(repository)) as failing:
        pixel = bytes([HIGHEST_VALUE + 10] * 3)
        answer = failing.classify(pixel * 4, height=2, width=2)
        message = answer.assert_error(500, "internal")
        request_id = answer.headers["x-request-id"]
        assert message == f"internal error; the log has the details under request id {request_id}"
        line = json.loads(failing.wait_for_log(f"request {request_id} failed"))
        assert line["level"] == "error"
        assert "indices element out of data bounds" in line["exception"]
        assert failing.metric("topfive_batch_failures_total", model="classify") == 1
        good = failing.classify(bytes([HIGHEST_VALUE] * 12), height=2, width=2)
        assert good.labels[0] == f"value {HIGHEST_VALUE}"
        assert failing.ask("GET", "/v2/health/ready").status == 200


# Refusals cost nothing: they come before the body.


@pytest.mark.parametrize(
    ("status", "method", "query", "kind", "length"),
    [
        (413, "POST", "", "image/png", 10**10),
        (413, "POST", "height=40000&width=1", RAW, 10**10),
        (413, "POST", "height=6000&width=6000", RAW, 1000),
        (400, "POST", "height=4000&width=5000", RAW, 59_999_999),
        (400, "POST", f"model={CROPS}&height=2&width=2", RAW, 12),
        (400, "POST", "width=1", RAW, 10**10),
        (400, "POST", "colour=red", RAW, 10**10),
        (404, "POST", "model=resnet", RAW, 10**10),
        (413, "POST", "", "application/json", 10_000_000),
        (400, "POST", "top=6", "image/png", 10**10),
        (405, "PUT", "", RAW, 10**10),
    ],
)
def test_a_refusal_does_not_wait_for_the_body(
    service: ServingProcess, status: int, method: str, query: str, kind: str, length: int
) -> None:
    """As much as 10 GB are announced and nothing is sent; a client that asks first is not told to go on."""
    with service.open_socket() as connection:
        connection.sendall(
            f"{method} /v1/classify?{query} HTTP/1.1\r\nHost: test\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert connection.recv(12) == f"HTTP/1.1 {status}".encode()


def test_a_connection_survives_a_refusal_whose_body_comes_late(service: ServingProcess) -> None:
    """The refused body is read past, not taken for the next request."""
    with service.open_socket() as connection:
        smuggled = b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n"
        head = f"POST /v1/classify?top=6 HTTP/1.1\r\nHost: test\r\nContent-Length: {len(smuggled)}\r\n\r\n"
        connection.sendall(head.encode())
        assert read_answer(connection).status == 400
        connection.sendall(smuggled + b"GET /v2/health/ready HTTP/1.1\r\nHost: test\r\n\r\n")
        assert read_answer(connection).json == {"ready": True, "state": "ready"}


def test_what_is_announced_takes_no_memory(service: ServingProcess, cat: Photo) -> None:
    """3.5 GB on 50 connections, of which a byte each has come."""
    process, announced = psutil.Process(service.pid), bytes(70_000_000)
    before = process.memory_info().rss
    held = [HeldRequest(service, "/v1/classify", announced, "image/png") for _ in range(50)]
    for request in held:
        request.send(1)
    service.wait_until(lambda: service.metric("topfive_in_flight_bytes") == 50)
    assert process.memory_info().rss - before < 50 << 20
    assert classify_raw(service, cat).labels[0] in CATS
    for request in held:
        request.socket.close()
    service.wait_until(lambda: service.metric("topfive_in_flight_bytes") == 0)


def test_an_idle_stuck_client_does_not_stop_others(service: ServingProcess, cat: Photo) -> None:
    path, body = raw(cat)
    held = [HeldRequest(service, path, body, RAW) for _ in range(8)]
    assert classify_raw(service, cat).labels[0] in CATS
    for request in held:
        request.send()
    assert all(request.answer().labels[0] in CATS for request in held)
