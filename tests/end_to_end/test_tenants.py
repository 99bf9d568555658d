"""Tenants end to end: limits over HTTP and gRPC and over all worker processes, metrics and log by name, never a key."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from tests.testkit.grpc_messages import image_message
from tests.testkit.rpc import channel_to
from tests.testkit.serving_process import READY, Answer, ServingProcess

FEED, FEED_TOO, SLOW, FREE = (f"{name}-0123456789abcdef" for name in ("feed", "feed-too", "slow", "free"))
IMAGES: Final = image_message(np.zeros((2, 4, 4, 3), np.uint8))
LINES: Final = f"{FEED} name=feed quota=6/month\n{FEED_TOO} name=feed\n{SLOW} name=slow rate=0.001 burst=3\n{FREE}\n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(LINES)
    return path


@pytest.fixture(scope="module")
def process(keys: Path, tiny_repository: Path) -> Iterator[ServingProcess]:
    flags = ("--model-repository", str(tiny_repository), "--api-keys-file", str(keys))
    with ServingProcess("--backend", "null", "--workers", "2", *flags) as process:
        process.wait_for_log(READY, count=2)
        yield process
        process.stop()
        log = "".join(process.log)
        assert "0123456789abcdef" not in log, "a key in the log"


def post(process: ServingProcess, key: str, images: int = 1, body: bytes | None = None) -> Answer:
    headers = {"Content-Type": "application/octet-stream", "Authorization": f"Bearer {key}"}
    pixels = bytes(12 * images) if body is None else body
    query = "" if body is not None else f"?height=2&width=2&count={images}"
    return process.ask("POST", f"/v1/classify{query}", pixels, headers)


def infer(process: ServingProcess, key: str) -> Any:
    with channel_to(process) as channel:
        return channel.infer(IMAGES, metadata=(("authorization", f"Bearer {key}"),))


def test_a_quota_is_one_for_all_keys_doors_and_processes_of_a_tenant(process: ServingProcess, keys: Path) -> None:
    """Each request is on a connection of its own, so that both worker processes get some; a reload forgets nothing."""
    assert infer(process, FEED).status == "OK"
    assert [post(process, key).status for key in (FEED, FEED_TOO, FEED, FEED_TOO)] == [200] * 4
    for key in (FEED, FEED_TOO) * 2:
        refused = post(process, key)
        assert "begins again at" in refused.assert_error(429, "quota_exceeded")
        assert 0 < int(refused.headers["retry-after"]) <= 31 * 24 * 3600
    over = infer(process, FEED)
    assert "begins again at" in over.assert_error("RESOURCE_EXHAUSTED", "quota_exceeded")
    keys.write_text(LINES.replace("quota=6", "quota=7"))
    process.signal(signal.SIGHUP)
    process.wait_for_log("the API keys have changed", count=2)
    assert [post(process, FEED).status for _ in range(3)] == [200, 429, 429]


def test_a_rate_counts_images_and_tells_when_to_come_again(process: ServingProcess) -> None:
    """By the head alone; a request that can never be let in is told so, and what is refused costs nothing."""
    assert "at most 3 at once" in post(process, SLOW, images=4).assert_error(413, "too_large")
    assert post(process, SLOW, images=2).status == 200
    refused = post(process, SLOW, images=2)
    refused.assert_error(429, "rate_limited")
    assert 900 < int(refused.headers["retry-after"]) <= 1000
    said = infer(process, SLOW)
    said.assert_error("RESOURCE_EXHAUSTED", "rate_limited")
    assert 900 < int(said.metadata["retry-after"]) <= 1000
    assert post(process, SLOW).status == 200


def test_metrics_and_log_name_the_tenant(process: ServingProcess) -> None:
    """Keys without a name are 'default', and whoever has none is nobody."""
    before = process.metric("topfive_tenant_images_total", tenant="default")
    assert post(process, FREE, images=3).status == 200
    post(process, FREE, body=b"no image").assert_error(422, "undecodable_image")
    post(process, "no-key-at-all-is-this").assert_error(401, "unauthenticated")
    assert process.metric("topfive_tenant_images_total", tenant="default") == before + 3
    refused = process.metric("topfive_tenant_refused_total", tenant="default", reason="undecodable_image")
    assert refused == 1
    assert process.metric("topfive_tenant_refused_total", tenant="slow", reason="rate_limited") >= 2
    of_limits = process.metric("topfive_request_duration_seconds_count", code="429 limit")
    assert of_limits >= 2, "told apart from refusals that say something of the service"
    assert process.metric("topfive_request_duration_seconds_count", code="429") == 0
    lines = [json.loads(line) for line in process.log if '"topfive.request"' in line]
    assert {line["tenant"] for line in lines} == {"feed", "slow", "default"}
