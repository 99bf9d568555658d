"""A request is reported once, to the statistics, the metrics and the log, with the same numbers."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from tests.grpc.conftest import served
from topfive.ground.errors import BackendFailure, MalformedRequest, QueueFull
from topfive.ground.types import Timings
from topfive.models.served import ServedModel
from topfive.observe.logs import RequestLog
from topfive.observe.metrics import Metrics
from topfive.observe.trace_context import TraceContext
from topfive.serving.reporting import Report, Reporter

__all__ = ["served"]

TIMINGS = Timings(decode_seconds=0.1, resize_seconds=0.2, queue_seconds=0.3, inference_seconds=0.4)


class Reported:
    """A reporter whose log and metrics can be read."""

    def __init__(self, *, log: bool = True) -> None:
        self._stream = io.BytesIO()
        self._metrics = Metrics()
        self.reporter = Reporter(self._metrics, RequestLog(enabled=log, stream=self._stream), route="/way")

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def exposes(self, sample: str) -> bool:
        return sample in self._metrics.exposition().decode().splitlines()


def test_an_answered_request_is_counted_timed_and_logged(served: dict[str, ServedModel]) -> None:
    """Statistics, of an ensemble and of the classifier in it; metric; line."""
    reported, report, model = Reported(), Report(b"a1-b2"), served["tiny"]
    counted = [model.statistics, served["classify"].statistics]
    before = [(each.success.count, each.inference_count) for each in counted]
    report.model, report.images, report.nbytes, report.timings = model, 3, 77, TIMINGS
    reported.reporter.finished(report, 200, 1.5)
    after = [(each.success.count, each.inference_count) for each in counted]
    assert after == [(success + 1, images + 3) for success, images in before]
    labels = 'code="200",model="tiny",route="/way"'
    assert reported.exposes(f"topfive_request_duration_seconds_sum{{{labels}}} 1.5")
    (line,) = reported.lines
    assert {name: value for name, value in line.items() if name not in ("time", "level", "logger")} == {
        "request_id": "a1-b2",
        "route": "/way",
        "model": "tiny",
        "status": 200,
        "images": 3,
        "body_bytes": 77,
        "total_seconds": 1.5,
        "decode_seconds": 0.1,
        "resize_seconds": 0.2,
        "queue_seconds": 0.3,
        "inference_seconds": 0.4,
    }


def test_a_refused_request_is_counted_by_its_reason(served: dict[str, ServedModel]) -> None:
    reported, report = Reported(), Report(None)
    report.model = served["tiny"]
    before = report.model.statistics.fail.count
    assert reported.reporter.refused(report, QueueFull("full")) == 429
    reported.reporter.finished(report, 429, 0.25)
    assert report.model.statistics.fail.count == before + 1
    assert reported.exposes('topfive_rejected_total{reason="queue_full"} 1.0')
    assert (reported.lines[0]["status"], reported.lines[0]["images"]) == (429, 0)
    assert "queue_seconds" not in reported.lines[0]


def test_a_request_for_no_model_is_reported_too() -> None:
    reported, report = Reported(), Report(None)
    reported.reporter.finished(report, reported.reporter.refused(report, MalformedRequest("what?")), 0.5)
    assert reported.exposes('topfive_request_duration_seconds_count{code="400",model="",route="/way"} 1.0')
    assert reported.lines[0]["model"] == ""


def test_without_the_log_there_are_only_the_metrics() -> None:
    reported = Reported(log=False)
    reported.reporter.finished(Report(None), 200, 0.5)
    assert reported.exposes('topfive_request_duration_seconds_count{code="200",model="",route="/way"} 1.0')
    assert reported.lines == []


def test_the_line_of_a_traced_request_names_its_trace() -> None:
    """And the span it comes from; without a trace there is nothing of it."""
    reported = Reported()
    trace = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=False, state="a=1")
    reported.reporter.finished(Report(None, trace), 200, 0.5)
    reported.reporter.finished(Report(None), 200, 0.5)
    traced, plain = reported.lines
    assert (traced["trace_id"], traced["span_id"]) == (trace.trace_id, trace.span_id)
    assert not {"trace_id", "span_id"} & set(plain)


def test_only_a_failure_of_ours_leaves_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    reported, report = Reported(), Report(b"a1-b2")
    with caplog.at_level(logging.INFO, "topfive"):
        reported.reporter.refused(report, MalformedRequest("what?"))
        assert caplog.records == []
        failure = BackendFailure("the model failed")
        assert reported.reporter.refused(report, failure) == 500
    (record,) = caplog.records
    assert "a1-b2" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is failure


@pytest.mark.parametrize("given", [b"a", b"4F2A-9b", b"x" * 128])
def test_a_plain_id_is_the_clients_own(given: bytes) -> None:
    assert Report(given).request_id == given.decode()


@pytest.mark.parametrize("given", [None, b"", b"x" * 129, b"two words", b'"', b"a\nb", "ä".encode(), b"-"])
def test_any_other_id_is_a_new_one(given: bytes | None) -> None:
    first, second = Report(given).request_id, Report(given).request_id
    assert first != second
    assert len(first) == 16


def test_the_line_of_a_refusal_says_why_and_whose_it_was() -> None:
    reported, report = Reported(), Report(b"a1")
    status = reported.reporter.refused(report, MalformedRequest("x" * 1000))
    reported.reporter.finished(report, status, 0.5)
    (line,) = reported.lines
    assert (line["code"], line["error"]) == ("malformed_request", "x" * 300)
    assert (line["method"], line["client"]) == ("", "unknown")


def test_the_line_of_a_failure_of_ours_points_at_its_traceback() -> None:
    reported, report = Reported(), Report(b"a1")
    reported.reporter.finished(report, 500, 0.5)
    (line,) = reported.lines
    assert line["code"] == "internal"
    assert "request_id" in line["error"]


def test_a_report_that_fails_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    """Neither by its metric nor by its line; over gRPC it is made before the answer."""

    class Gone(io.BytesIO):
        def write(self, line: object) -> int:
            raise OSError("the log is gone")

    reporter = Reporter(Metrics(), RequestLog(enabled=True, stream=Gone()), route="/way")
    reporter.finished(Report(b"a1"), 200, 0.5)
    reporter._metrics.rejected = None  # type: ignore[assignment]
    assert reporter.refused(Report(b"b2"), QueueFull("full")) == 429
    assert caplog.messages == [f"request {name} is not reported as it should be" for name in ("a1", "b2")]
