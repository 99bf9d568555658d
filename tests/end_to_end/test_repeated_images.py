"""With the answer cache on, clients of every protocol get byte for byte what they got the first time, and are told so.

The second answer of each way to ask comes from what another way has left in the cache.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest

from tests.testkit.grpc_messages import image_message
from tests.testkit.image_files import encode
from tests.testkit.rpc import channel_to
from tests.testkit.serving_process import RAW, Answer, ServingProcess, classify_path, serving
from tests.testkit.tiny_models import HIGHEST_VALUE, write_tiny_repository

FILE: Final = encode(np.full((4, 4, 3), 7, np.uint8), "PNG")
PIXELS: Final = np.full((1, 4, 4, 3), 8, np.uint8)
HITS: Final = ("topfive_cache_images_total", {"model": "tiny", "result": "hit"})
FORM: Final = (
    b'--x\r\nContent-Disposition: form-data; name="image"; filename="f"\r\n\r\n' + FILE + b"\r\n--x--\r\n",
    "multipart/form-data; boundary=x",
)
BASE64: Final = base64.b64encode(FILE).decode()
INFER: Final = {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 4, 4, 3], "data": [8] * 48}]}
WAYS: Final = {
    "file": (classify_path(), FILE, "image/png"),
    "form": (classify_path(), *FORM),
    "base64": (classify_path(), json.dumps({"image": {"b64": BASE64}}).encode(), "application/json"),
    "raw": (classify_path(height=4, width=4), PIXELS.tobytes(), RAW),
    "infer": ("/v2/models/tiny/infer", json.dumps(INFER).encode(), "application/json"),
}


@pytest.fixture(scope="module")
def caching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    repository = write_tiny_repository(tmp_path_factory.mktemp("models"))
    with serving("--model-repository", str(repository), "--answer-cache-bytes", "1000000") as process:
        yield process


def post(service: ServingProcess, way: str, **headers: str) -> Answer:
    path, body, kind = WAYS[way]
    return service.ask("POST", path, body, {"Content-Type": kind, **headers})


def hits(service: ServingProcess) -> float:
    return service.metric(HITS[0], **HITS[1])


def test_every_door_looks_into_the_same_cache_and_answers_the_same(caching: ServingProcess) -> None:
    first, again = [{way: post(caching, way) for way in WAYS} for _ in range(2)]
    assert {way: answer.body for way, answer in first.items()} == {way: answer.body for way, answer in again.items()}
    assert [answer.labels[0] for way, answer in again.items() if way != "infer"] == ["value 7"] * 3 + ["value 8"]
    assert re.match(
        r"cache;desc=miss;dur=\d+\.\d{3}, decode;dur=[^,]+, resize;", first["file"].headers["server-timing"]
    )
    for way, answer in {**again, "form": first["form"], "base64": first["base64"], "infer": first["infer"]}.items():
        timing = answer.headers["server-timing"]
        assert re.match(r"cache;desc=hit;dur=\d+\.\d{3}, decode;dur=0\.000, ", timing), way
    before = hits(caching)
    with channel_to(caching) as channel:
        answers = [channel.infer(image_message(PIXELS, model_name=name)).message for name in ("tiny", "tiny")]
    assert hits(caching) == before + 2
    assert answers[0] == answers[1]


def statistics(service: ServingProcess) -> dict[str, Any]:
    """Of `tiny`, as the protocol has them."""
    (found,) = json.loads(service.ask("GET", "/v2/models/tiny/stats").body)["model_stats"]
    return dict(found)


def test_of_several_images_it_is_said_how_many_were_known(caching: ServingProcess) -> None:
    body = bytes([21]) * 12 + bytes([22]) * 12
    path = classify_path(height=2, width=2, count=2)
    caching.ask("POST", classify_path(height=2, width=2), body[:12], {"Content-Type": RAW})
    before = statistics(caching)["inference_count"]
    answer = caching.ask("POST", path, body, {"Content-Type": RAW, "X-Request-Id": "half-known"})
    assert 'cache;desc="1 of 2";dur=' in answer.headers["server-timing"]
    assert [each["predictions"][0]["label"] for each in answer.json["images"]] == ["value 21", "value 22"]
    assert json.loads(caching.wait_for_log('"half-known"'))["cache_hits"] == 1
    assert statistics(caching)["inference_count"] == before + 1
    assert caching.ask("POST", path, body, {"Content-Type": RAW}).body == answer.body


def test_what_is_counted_of_images_counts_those_from_the_cache_and_what_is_counted_of_stages_does_not(
    caching: ServingProcess,
) -> None:
    names = ("topfive_images_total", "topfive_confidence_count", "topfive_stage_duration_seconds_count")
    post(caching, "file")
    before = [caching.metric(name, model="tiny") for name in names]
    earlier = statistics(caching)
    post(caching, "file")
    caching.wait_until(lambda: caching.metric(names[0], model="tiny") > before[0])
    assert [caching.metric(name, model="tiny") - was for name, was in zip(names, before, strict=True)] == [1, 1, 0]
    later = statistics(caching)
    was, now = earlier["inference_stats"], later["inference_stats"]
    gained = {name: now[name]["count"] - was[name]["count"] for name in now}
    assert {name for name, count in gained.items() if count} == {"success", "cache_hit"}
    assert later["inference_count"] == earlier["inference_count"]


def test_a_failure_is_not_remembered(caching: ServingProcess) -> None:
    path = classify_path(height=2, width=2)
    for _ in range(2):
        assert caching.ask("POST", path, bytes([HIGHEST_VALUE + 1]) * 12, {"Content-Type": RAW}).status == 500


def test_by_default_nothing_is_kept_and_nothing_is_said_of_it(service: ServingProcess) -> None:
    answers = [service.classify(FILE, "image/png") for _ in range(2)]
    assert not any("cache" in answer.headers["server-timing"] for answer in answers)
    assert service.metric("topfive_cache_images_total") == service.metric("topfive_cache_bytes_limit") == 0
