"""Probes and metrics: cheap, truthful, and answered whatever the models do."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import tritonclient.grpc
from prometheus_client.parser import text_string_to_metric_families

from tests.testkit.serving_process import RAW, HeldRequest, ServingProcess, classify_path, serving
from tests.testkit.tiny_models import WAITING_CONFIG, write_tiny_repository
from topfive.http.health import LIVE, READY
from topfive.machine.cores import core_limit
from topfive.machine.memory import memory_limit

METRICS = {
    "topfive_baseline_images": "gauge",
    "topfive_baseline_share": "gauge",
    "topfive_cache_bytes": "gauge",
    "topfive_cache_bytes_limit": "gauge",
    "topfive_cache_entries": "gauge",
    "topfive_cache_evictions": "counter",
    "topfive_cache_images": "counter",
    "topfive_confidence": "histogram",
    "topfive_image_formats": "counter",
    "topfive_image_megapixels": "histogram",
    "topfive_labels": "counter",
    "topfive_tenant_images": "counter",
    "topfive_tenant_quota_used_ratio": "gauge",
    "topfive_tenant_refused": "counter",
    "topfive_request_duration_seconds": "histogram",
    "topfive_stage_duration_seconds": "histogram",
    "topfive_batch_size": "histogram",
    "topfive_images": "counter",
    "topfive_rejected": "counter",
    "topfive_batch_failures": "counter",
    "topfive_queue_items": "gauge",
    "topfive_queue_items_limit": "gauge",
    "topfive_slots_busy": "gauge",
    "topfive_slots": "gauge",
    "topfive_queue_bytes": "gauge",
    "topfive_in_flight": "gauge",
    "topfive_in_flight_limit": "gauge",
    "topfive_in_flight_bytes": "gauge",
    "topfive_in_flight_bytes_limit": "gauge",
    "topfive_grpc_places": "gauge",
    "topfive_grpc_places_limit": "gauge",
    "topfive_cores_limit": "gauge",
    "topfive_store_failures": "gauge",
    "topfive_store_last_success_timestamp_seconds": "gauge",
    "topfive_memory_limit_bytes": "gauge",
    "topfive_prepare_waiting": "gauge",
    "topfive_prepare_wait_seconds": "gauge",
    "topfive_ready": "gauge",
    "topfive_connections": "gauge",
    "topfive_connections_limit": "gauge",
    "topfive_connections_closed": "counter",
    "topfive_gauge_failures": "counter",
    "topfive_log_lines_lost": "counter",
    "topfive_model_info": "gauge",
    "topfive_shadow_compared": "counter",
    "topfive_shadow_probability_change": "histogram",
    "topfive_shadow_overlap": "histogram",
    "topfive_shadow_duration_seconds": "histogram",
    "topfive_shadow_dropped": "counter",
    "topfive_shadow_waiting": "gauge",
    "topfive_shadow_waiting_bytes": "gauge",
    "topfive_canary_requests": "counter",
    "topfive_canary_duration_seconds": "histogram",
    "topfive_canary_retried": "counter",
    "topfive_canary_share": "gauge",
    "topfive_canary_rolled_back": "gauge",
    "process_cpu_seconds": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/v2/health/live", {"live": True, "state": "ready"}), ("/v2/health/ready", {"ready": True, "state": "ready"})],
)
def test_a_probe_says_so_in_json_and_to_head_without_a_body(
    service: ServingProcess, path: str, expected: dict[str, object]
) -> None:
    answer = service.ask("GET", path)
    assert (answer.status, answer.json) == (200, expected)
    assert answer.headers["content-type"] == "application/json"
    head = service.ask("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/metrics"])
def test_a_probe_takes_no_other_method(service: ServingProcess, path: str) -> None:
    service.ask("POST", path).assert_error(405, "method_not_allowed")


def test_metrics_are_in_prometheus_format_and_complete(service: ServingProcess) -> None:
    answer = service.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    assert {name: family.type for name, family in families.items() if not name.endswith("_created")} == METRICS
    assert all(family.documentation for family in families.values())


def test_metrics_tell_what_the_process_uses(service: ServingProcess) -> None:
    """As the kernel's figures do, which another program reads; the time goes on, and it began before it was ready."""
    kernel = psutil.Process(service.pid)
    assert service.metric("process_resident_memory_bytes") == pytest.approx(kernel.memory_info().rss, rel=0.2)
    before = sum(kernel.cpu_times()[:2])
    assert before - 0.1 <= service.metric("process_cpu_seconds_total") <= sum(kernel.cpu_times()[:2]) + 0.1
    assert kernel.create_time() - 1 <= service.metric("process_start_time_seconds") <= kernel.create_time() + 60


def test_metrics_tell_the_bounds_of_what_fills(service: ServingProcess) -> None:
    """Those of the settings and of the model; one that is idle has none of its slots busy."""
    names = ("in_flight_limit", "in_flight_bytes_limit", "connections_limit", "queue_items_limit", "slots_busy")
    assert [service.metric(f"topfive_{name}") for name in names] == [512, 512 << 20, 4096, 256, 0]
    assert service.metric("topfive_slots") >= 1


def test_metrics_tell_what_the_service_may_use(service: ServingProcess) -> None:
    """Of the processor and of memory, as the system says; and of gRPC's places."""
    assert service.metric("topfive_cores_limit") == core_limit()
    assert service.metric("topfive_memory_limit_bytes") == memory_limit()
    assert service.metric("process_resident_memory_bytes") < memory_limit() <= psutil.virtual_memory().total
    names = ("topfive_grpc_places", "topfive_grpc_places_limit")
    assert [service.metric(name) for name in names] == [0, 64]


def test_metrics_describe_the_models(service: ServingProcess) -> None:
    labels = {"model": "efficientnet_lite0_classify", "version": "1", "backend": "embedded"}
    assert service.metric("topfive_model_info", **labels) == 1


def test_duration_buckets_start_at_half_a_millisecond_and_end_at_ten_seconds(service: ServingProcess) -> None:
    assert service.classify(b"rgb", height=1, width=1).status == 200
    families = text_string_to_metric_families(service.ask("GET", "/metrics").body.decode())
    edges = {
        float(sample.labels["le"])
        for family in families
        if family.name == "topfive_request_duration_seconds"
        for sample in family.samples
        if sample.name.endswith("_bucket")
    }
    assert min(edges) == 0.0005
    assert sorted(edges)[-2:] == [10.0, float("inf")]


def test_what_is_in_flight_shows(tmp_path: Path) -> None:
    """The bytes that have come, and the requests that have come whole; probes answer while others are stuck."""
    repository = write_tiny_repository(tmp_path, classify_config=WAITING_CONFIG)
    with serving("--model-repository", str(repository), "--backend", "null") as waiting:
        held = [HeldRequest(waiting, classify_path(height=10, width=10), bytes(300), RAW) for _ in range(8)]
        for request in held[:3]:
            request.send(100)
        waiting.wait_until(lambda: waiting.metric("topfive_in_flight_bytes") == 300)
        assert waiting.metric("topfive_in_flight") == 0
        for request in held[:3]:
            request.send()
        waiting.wait_until(lambda: waiting.metric("topfive_in_flight") == 3)
        assert waiting.metric("topfive_in_flight_bytes") == 900
        assert waiting.ask("GET", "/v2/health/ready").status == 200
        for request in held[3:]:
            request.send()  # the eighth image fills the batch
        assert [request.answer().status for request in held] == [200] * 8
        assert waiting.metric("topfive_in_flight") == waiting.metric("topfive_in_flight_bytes") == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_serves_nothing_yet_is_not_ready(tmp_path: Path, workers: str) -> None:
    """In HTTP and gRPC alike; a model that comes makes it ready."""
    flags = ("--model-control", "poll", "--poll-seconds", "0.2", "--workers", workers)
    with ServingProcess("--model-repository", str(tmp_path), "--backend", "null", *flags) as empty:
        empty.wait_for_log("the service is not ready", count=int(workers))
        assert empty.ask("GET", "/v2/health/live").status == 200
        message = empty.ask("GET", "/v2/health/ready").assert_error(503, "not_ready")
        assert "no model is served" in message
        empty.classify(b"rgb", height=1, width=1).assert_error(404, "unknown_model")
        with tritonclient.grpc.InferenceServerClient(empty.grpc_address) as client:
            assert client.is_server_live()
            assert not client.is_server_ready()
        write_tiny_repository(tmp_path)
        empty.wait_until(lambda: empty.ask("GET", "/v2/health/ready").status == 200)


def test_refusals_are_counted_by_reason(service: ServingProcess) -> None:
    before = service.metric("topfive_rejected_total", reason="unsupported_media_type")
    service.classify(b"%PDF-1.7\n", "application/pdf")
    assert service.metric("topfive_rejected_total", reason="unsupported_media_type") == before + 1


@pytest.mark.parametrize("path", [*LIVE, *READY])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_name_of_a_probe_answers_and_is_not_kept(method: str, path: str, service: ServingProcess) -> None:
    answer = service.ask(method, path)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    if method == "GET":
        assert answer.json == service.ask("GET", LIVE[0] if path in LIVE else READY[0]).json
