"""The service itself, on models in a bucket of a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testkit.serving_process import READY, ServingProcess, serving
from tests.testkit.stores import SECRET, Buckets, files_in, sums_of
from tests.testkit.tiny_models import commented, write_tiny_repository

IMAGE = bytes([7]) * 12
QUERY = {"width": 2, "height": 2}


@pytest.fixture
def source(tmp_path: Path) -> dict[str, bytes]:
    """The tiny ensemble's files."""
    return files_in(write_tiny_repository(tmp_path / "source"))


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buckets]:
    """A server with the bucket `bucket`."""
    with Buckets(tmp_path_factory.mktemp("moto")) as buckets:
        buckets.make("bucket")
        yield buckets


def put(buckets: Buckets, files: dict[str, bytes]) -> None:
    buckets.put("bucket", {f"models/{path}": data for path, data in files.items()})


def flags(tmp_path: Path) -> tuple[str, ...]:
    store = ("--model-repository", "s3://bucket/models", "--model-cache-dir", str(tmp_path / "cache"))
    return (*store, "--model-control", "poll", "--poll-seconds", "0.2", "--default-model", "tiny")


def version(service: ServingProcess) -> str:
    """Which version answers."""
    answer = service.classify(IMAGE, **QUERY)
    assert answer.status == 200, answer
    assert answer.labels[0] == "value 7"
    found: str = answer.json["version"]
    return found


def test_of_several_worker_processes_none_fetches(buckets: Buckets, source: dict[str, bytes], tmp_path: Path) -> None:
    put(buckets, source)
    several = ("--workers", "2", "--backend", "null")
    with serving(*flags(tmp_path), *several, environment=buckets.environment) as service:
        service.wait_for_log(READY, count=2)
        put(buckets, {"classify/2/model.onnx": source["classify/1/model.onnx"]})
        service.wait_for_log("model 'classify' version 2 is served", count=2)
        assert service.stop() == 0
    assert sum("fetching" in line for line in service.log) == 2  # by the supervisor: at the start, and then


def test_a_service_whose_bucket_is_not_there_says_so_and_ends(buckets: Buckets, tmp_path: Path) -> None:
    given = ("--model-repository", "s3://missing/models", "--model-cache-dir", str(tmp_path / "cache"))
    with ServingProcess(*given, environment=buckets.environment) as service:
        assert service.wait() == 2
    assert any("NoSuchBucket; is it the right name" in line for line in service.log)


def test_a_service_that_waits_for_its_store_is_live_and_can_be_stopped(buckets: Buckets, tmp_path: Path) -> None:
    away = buckets.environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    with ServingProcess(*flags(tmp_path), environment=away) as service:
        service.wait_for_log("the models cannot be fetched yet")
        assert service.ask("GET", "/v2/health/live").status == 200
        assert service.ask("GET", "/v2/health/ready").status == 503
        assert service.stop() == 0


def test_a_version_in_the_bucket_is_served_without_a_restart_and_an_outage_harms_nobody(
    buckets: Buckets, source: dict[str, bytes], tmp_path: Path
) -> None:
    """The last one here: it ends the server."""
    buckets.remove("bucket", "models/classify/2/model.onnx")
    put(buckets, source | {"SHA256SUMS": sums_of(source)})
    with serving(*flags(tmp_path), environment=buckets.environment) as service:
        assert version(service) == "1"
        # Nothing is taken before its sums are there, which come last.
        new = source | {"classify/2/model.onnx": commented(source["classify/1/model.onnx"])}
        put(buckets, {"classify/2/model.onnx": new["classify/2/model.onnx"]})
        service.wait_for_log("classify/2/model.onnx is not named in SHA256SUMS")
        assert version(service) == "1"
        put(buckets, {"SHA256SUMS": sums_of(new)})
        service.wait_for_log("model 'classify' version 2 is served")
        assert version(service) == "2"
        assert service.metric("topfive_store_failures") == 0
        assert service.metric("topfive_store_last_success_timestamp_seconds") > 0
        buckets.stop()
        service.wait_for_log("the models stay as they were: s3://bucket/models cannot be reached")
        service.wait_until(lambda: service.metric("topfive_store_failures") > 0)
        assert version(service) == "2"
        assert service.stop() == 0
    with serving(*flags(tmp_path), environment=buckets.environment) as restarted:
        restarted.wait_for_log("served from the mirror in")
        assert version(restarted) == "2"
    assert SECRET not in "".join((*service.log, *restarted.log))
