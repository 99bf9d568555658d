"""Each request is a span with its stages, taken by a real receiver; whether it is one, its caller decides."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from tests.conftest import Encode, Photo
from tests.testkit.fakes import FakeClock
from tests.testkit.grpc_messages import image_message
from tests.testkit.otlp import Receiver, SpanSeen, receiving
from tests.testkit.rpc import channel_to
from tests.testkit.serving_process import ServingProcess, serving
from topfive import __version__
from topfive.ground.types import Timings
from topfive.observe.trace_context import read_trace_context
from topfive.serving.reporting import Report
from topfive.serving.spans import Spans, url_of

MODEL: Final = "efficientnet_lite0"
STAGES: Final = ["read body", "decode", "resize", "queue", "inference"]
SERVER: Final = 2
UNSET, ERROR = 0, 2
CALLER: Final = "b7ad6b7169203331"
PIXELS: Final = np.full((1, 4, 4, 3), 7, np.uint8)


def parent(trace: int, *, sampled: bool = True) -> str:
    return f"00-{trace:032x}-{CALLER}-{sampled:02x}"


def trace_id(trace: int) -> str:
    return f"{trace:032x}"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def traced(receiver: Receiver) -> Iterator[ServingProcess]:
    """A service that sends its spans every 50 ms; of those that nobody decides about, none."""
    environment = {
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    flags = ("--otlp-endpoint", receiver.url, "--trace-sample-ratio", "0")
    with serving(*flags, environment=environment) as process:
        yield process


def family(receiver: Receiver, trace: int, count: int) -> tuple[SpanSeen, list[SpanSeen]]:
    """The request's span of this trace, and its `count` stages in their order, once all have come."""
    with receiver.news:
        assert receiver.news.wait_for(lambda: len(receiver.of(trace_id(trace))) > count, 60), receiver.spans
    spans = receiver.of(trace_id(trace))
    (whole,) = [span for span in spans if span.kind == SERVER]
    stages = sorted((span for span in spans if span is not whole), key=lambda span: (span.start, span.end))
    assert len(stages) == count
    assert {stage.parent_id for stage in stages} <= {whole.span_id}
    return whole, stages


def log_line(process: ServingProcess, trace: int) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(process.wait_for_log(trace_id(trace)))
    return line


def test_a_request_over_http_is_a_span_with_its_five_stages(
    receiver: Receiver, traced: ServingProcess, cat: Photo, encode: Encode
) -> None:
    """The durations are those of the answer; the stages follow each other within the whole; the log names the span."""
    before = time.time_ns()
    body = encode(cat, "JPEG")
    headers = {"Content-Type": "image/jpeg", "traceparent": parent(1), "tracestate": "rojo=1, congo=2"}
    answer = traced.ask("POST", "/v1/classify", body, headers)
    assert answer.status == 200
    whole, stages = family(receiver, 1, 5)
    assert (whole.name, whole.kind, whole.parent_id, whole.status) == ("POST /v1/classify", SERVER, CALLER, UNSET)
    assert whole.trace_state == "rojo=1,congo=2"
    assert whole.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/classify",
        "http.response.status_code": 200,
        "url.path": "/v1/classify",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "topfive.model.name": MODEL,
        "topfive.model.version": "1",
        "topfive.images": 1,
        "topfive.body_bytes": len(body),
        "topfive.request_id": answer.headers["x-request-id"],
    }
    assert sorted(stage.name for stage in stages) == sorted(STAGES)
    assert before <= whole.start <= stages[0].start
    assert stages[-1].end <= whole.end <= time.time_ns()
    said = dict(part.strip().split(";dur=") for part in answer.headers["server-timing"].split(","))
    found = {stage.name: stage for stage in stages}
    for name in STAGES[1:]:
        assert (found[name].end - found[name].start) / 1e6 == pytest.approx(float(said[name]), abs=0.001)
    assert (whole.end - whole.start) / 1e6 == pytest.approx(float(said["total"]), abs=0.001)
    for earlier, later in pairwise(STAGES):
        assert abs(found[later].start - found[earlier].end) <= 1000  # but for rounding
    line = log_line(traced, 1)
    assert (line["trace_id"], line["span_id"]) == (whole.trace_id, whole.span_id)
    assert whole.resource["service.name"] == "topfive"
    assert whole.resource["service.version"] == __version__
    assert whole.resource["process.pid"] == traced.pid
    assert whole.resource["deployment.environment.name"] == "test"
    assert set(receiver.paths) == {"/v1/traces"}


def test_a_request_over_grpc_is_one_too(receiver: Receiver, traced: ServingProcess) -> None:
    metadata = (("traceparent", parent(2)), ("tracestate", "rojo=1"), ("tracestate", "congo=2"))
    with channel_to(traced) as channel:
        reply = channel.infer(image_message(PIXELS, model_name=MODEL), metadata=metadata)
        assert reply.status == "OK"
    whole, stages = family(receiver, 2, 5)
    method = "inference.GRPCInferenceService/ModelInfer"
    assert (whole.name, whole.parent_id, whole.status) == (method, CALLER, UNSET)
    assert whole.trace_state == "rojo=1,congo=2"
    assert sorted(stage.name for stage in stages) == sorted(STAGES)
    wanted = {"rpc.system.name": "grpc", "rpc.method": method, "rpc.response.status_code": "OK"}
    assert wanted.items() <= whole.attributes.items()
    assert whole.attributes["topfive.model.name"] == MODEL
    assert log_line(traced, 2)["span_id"] == whole.span_id


def test_the_protocols_route_is_one_too(receiver: Receiver, traced: ServingProcess) -> None:
    """By its template: what clients put into it is in the path only."""
    path = f"/v2/models/{MODEL}/versions/1/infer"
    traced.ask("POST", path, b"{}", {"traceparent": parent(3)}).assert_error(400, "malformed_request")
    whole, stages = family(receiver, 3, 1)
    assert whole.name == f"POST {whole.attributes['http.route']}"
    assert "{model}" in whole.name
    assert whole.attributes["url.path"] == path
    assert (whole.attributes["http.response.status_code"], whole.attributes["topfive.code"]) == (
        400,
        "malformed_request",
    )
    assert whole.status == UNSET  # by the conventions, the client's fault is no error of the server
    assert [stage.name for stage in stages] == ["read body"]


def test_what_is_refused_by_its_head_has_no_stages(receiver: Receiver, traced: ServingProcess) -> None:
    headers = {"Content-Type": "image/jpeg", "traceparent": parent(4)}
    traced.ask("POST", "/v1/classify?model=nope", b"x", headers).assert_error(404, "unknown_model")
    whole, _ = family(receiver, 4, 0)
    assert whole.attributes["topfive.code"] == "unknown_model"
    assert "topfive.model.name" not in whole.attributes


def test_a_refused_rpc_says_its_status(receiver: Receiver, traced: ServingProcess) -> None:
    with channel_to(traced) as channel:
        message = image_message(PIXELS, model_name="nope")
        channel.infer(message, metadata=(("traceparent", parent(5)),)).assert_error("NOT_FOUND", "unknown_model")
    whole, _ = family(receiver, 5, 1)
    assert (whole.attributes["rpc.response.status_code"], whole.status) == ("NOT_FOUND", UNSET)


def test_who_does_not_record_is_not_recorded(receiver: Receiver, traced: ServingProcess) -> None:
    """The log has the trace all the same, and the caller's span. What comes later on the same wire is the proof."""
    body = PIXELS.tobytes()
    way = "/v1/classify?height=4&width=4"
    raw = {"Content-Type": "application/octet-stream"}
    assert traced.ask("POST", way, body, raw | {"traceparent": parent(6, sampled=False)}).status == 200
    with channel_to(traced) as channel:
        metadata = (("traceparent", parent(7, sampled=False)),)
        assert channel.infer(image_message(PIXELS, model_name=MODEL), metadata=metadata).status == "OK"
    for header in ("nonsense", parent(0), parent(8) + "-", f"{parent(8)}, {parent(8)}"):
        assert traced.ask("POST", way, body, raw | {"traceparent": header}).status == 200  # never an error
    assert traced.ask("POST", way, body, raw).status == 200
    assert traced.ask("POST", way, body, raw | {"traceparent": parent(9)}).status == 200
    family(receiver, 9, 5)
    for trace in (6, 7, 8, 0):
        assert receiver.of(trace_id(trace)) == []
    assert {span.trace_id for span in receiver.spans} <= {trace_id(trace) for trace in (1, 2, 3, 4, 5, 9)}
    for trace in (6, 7):
        assert (log_line(traced, trace)["trace_id"], log_line(traced, trace)["span_id"]) == (trace_id(trace), CALLER)
    assert trace_id(8) not in "".join(traced.log)


def test_without_a_parent_a_ratio_decides_and_a_stop_sends_what_is_left() -> None:
    """All, by default. The schedule is an hour, so what comes is what the stop sends; several processes each send."""
    environment = {"OTEL_BSP_SCHEDULE_DELAY": "3600000", "OTEL_SERVICE_NAME": "cats"}
    with receiving() as receiver:
        flags = ("--backend", "null", "--otlp-endpoint", f"{receiver.url}/somewhere", "--workers", "2")
        with serving(*flags, environment=environment) as process:
            for _ in range(8):
                assert process.classify(PIXELS.tobytes(), height=4, width=4).status == 200
            assert receiver.spans == []
            assert process.stop() == 0
        spans = receiver.wait_for(48)
    roots = [span for span in spans if not span.parent_id]
    assert len({span.trace_id for span in roots}) == 8
    assert len(spans) == 48
    assert {span.resource["service.name"] for span in spans} == {"cats"}
    assert set(receiver.paths) == {"/somewhere"}


@pytest.mark.parametrize("initial", [{"status": 400}, {"silent": True}])
def test_a_receiver_that_refuses_or_hangs_costs_no_request_and_no_stop(initial: dict[str, Any]) -> None:
    """More spans than the queue holds: the oldest are dropped."""
    environment = {
        "OTEL_BSP_SCHEDULE_DELAY": "10",
        "OTEL_BSP_MAX_QUEUE_SIZE": "16",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8",
    }
    with (
        receiving(**initial) as receiver,
        serving("--backend", "null", "--otlp-endpoint", receiver.url, environment=environment) as process,
    ):
        for _ in range(20):
            assert process.classify(PIXELS.tobytes(), height=4, width=4).status == 200
        assert process.stop() == 0
        assert "Traceback" not in "".join(process.log)
        assert [line for line in process.log if "time" not in json.loads(line)] == []


def test_nobody_at_the_endpoint_costs_no_request_and_no_stop() -> None:
    with serving("--backend", "null", "--otlp-endpoint", "http://127.0.0.1:9") as process:
        assert process.classify(PIXELS.tobytes(), height=4, width=4).status == 200
        assert process.stop() == 0


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("https://collector:4318/", "https://collector:4318/v1/traces"),
        ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
        ("http://collector/own/way/", "http://collector/own/way/"),
    ],
)
def test_the_usual_path_is_added_where_there_is_none(endpoint: str, url: str) -> None:
    assert url_of(endpoint) == url


async def test_a_span_that_cannot_be_made_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Report):
        def attributes(self) -> Any:
            raise OSError("broken")

    with receiving() as receiver:
        spans = Spans(receiver.url, ratio=1.0, now=FakeClock().now)
        trace = read_trace_context(parent(1).encode(), None)
        assert spans.recorder("/way")(Broken(b"a1-b2", trace), 200, 0.5) == trace
        await spans.close(seconds=60)
    assert "the span of request a1-b2 could not be made" in caplog.text


async def test_a_span_has_the_durations_of_the_report(tmp_path: Path) -> None:
    """To the nanosecond, where the clock stands still."""
    clock = FakeClock()
    with receiving() as receiver:
        spans = Spans(receiver.url, ratio=1.0, now=clock.now)
        report = Report(None, started=clock.now())
        clock.advance(10)
        report.received = report.started + 1
        report.timings = Timings(decode_seconds=2, resize_seconds=0, queue_seconds=3, inference_seconds=0.5)
        spans.recorder("/way")(report, 500, 8.0)
        await spans.close(seconds=60)
    (whole,) = [span for span in receiver.spans if span.kind == SERVER]
    found = {span.name: (span.start - whole.start, span.end - whole.start) for span in receiver.spans}
    second = 1_000_000_000
    assert found == {
        "POST /way": (0, 8 * second),
        "read body": (0, second),
        "decode": (second, 3 * second),
        "resize": (3 * second, 3 * second),
        "queue": (3 * second, 6 * second),
        "inference": (6 * second, 6_500_000_000),
    }
    assert (whole.status, whole.attributes["error.type"]) == (ERROR, "500")
