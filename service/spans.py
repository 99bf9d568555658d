"""Spans for OpenTelemetry: one a request with one for each of its stages, made when it is over, sent in the background.

What lives here: the only use of OpenTelemetry, the extra `otel`. What does not: whether spans are wanted (`tracing`),
whose they are (`trace_context`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from service import __version__
from service.errors import TopfiveError
from service.reporting import Recorder, Report
from service.statuses import grpc_status
from service.trace_context import TraceContext

logger = logging.getLogger("topfive")

_PATH: Final = "/v1/traces"
_NANOSECONDS: Final = 1_000_000_000
_GRPC: Final = "grpc "
"""How the routes of RPCs begin, in metrics and the log."""
_GRPC_SERVICE: Final = "inference.GRPCInferenceService"
_GRPC_FAULTS: Final = frozenset(("DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNIMPLEMENTED"))
"""Statuses that the conventions call errors of a server."""
_MAX_TEXT: Final = 1000


class Spans:
    """Sends spans to the OTLP receiver at `endpoint`; of the traces that begin here, `ratio` are recorded.

    Whoever comes with a trace decides for it. `now` is the clock of the reports. What the receiver does not take in
    time is dropped: the queue is bounded, and nobody waits for it.
    """

    def __init__(self, endpoint: str, *, ratio: float, now: Callable[[], float]) -> None:
        own = Resource({"service.name": "topfive", "service.version": __version__, "process.pid": os.getpid()})
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource.create().merge(own).merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,  # it would wait for the receiver longer than a stop may take
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url_of(endpoint))))
        self._now = now

    def recorder(self, route: str) -> Recorder:
        """See `Tracing`."""
        return _Recorder(self._provider.get_tracer("topfive", __version__), route, self._now)

    async def close(self, *, seconds: float) -> None:
        """See `Tracing`."""
        loop = asyncio.get_running_loop()
        sent = asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # nobody waits any more, and the loop is closed
                loop.call_soon_threadsafe(sent.set)

        # A thread that does not keep the process: the receiver may not answer.
        threading.Thread(target=flush, name="last-spans", daemon=True).start()
        try:
            async with asyncio.timeout(seconds):
                await sent.wait()
        except TimeoutError:
            logger.warning("the last spans were not taken within %.1f s; leaving without them", seconds)


class _Recorder:
    """Makes the spans of one route."""

    def __init__(self, tracer: Any, route: str, now: Callable[[], float]) -> None:
        self._tracer = tracer
        self._now = now
        self._method = f"{_GRPC_SERVICE}/{route.removeprefix(_GRPC)}" if route.startswith(_GRPC) else None
        self._route = route

    def __call__(self, report: Report, status: int, total_seconds: float) -> TraceContext | None:
        try:
            return self._record(report, status, total_seconds)
        except Exception as error:  # the request is answered; a span that fails must not change that
            logger.error("the span of request %s could not be made", report.request_id, exc_info=error)
            return report.trace

    def _record(self, report: Report, status: int, total_seconds: float) -> TraceContext | None:
        # The wall clock is read once, so that the stages keep their durations whatever it does meanwhile.
        began = time.time_ns() - _ns(self._now() - report.started)
        name = self._method or f"POST {self._route}"
        span = self._tracer.start_span(name, _parent(report.trace), kind=SpanKind.SERVER, start_time=began)
        if not span.is_recording():
            return report.trace
        attributes = {
            "topfive.request_id": report.request_id,
            "topfive.images": report.images,
            "topfive.body_bytes": report.nbytes,
            **report.attributes(),
        }
        if report.model is not None:
            attributes |= {"topfive.model.name": report.model.name, "topfive.model.version": str(report.model.version)}
        span.set_attributes(attributes)
        self._judge(span, report.error, status)
        inside = set_span_in_context(span, Context())
        for stage, start, end in _stages(report):
            child = self._tracer.start_span(stage, inside, start_time=began + _ns(start))
            child.end(began + _ns(end))
        span.end(began + _ns(total_seconds))
        known = span.get_span_context()
        return TraceContext(format_trace_id(known.trace_id), format_span_id(known.span_id), sampled=True, state="")

    def _judge(self, span: Span, error: TopfiveError | None, status: int) -> None:
        """Say how the request ended, by the conventions of its protocol."""
        if self._method is not None:
            name = _grpc_status_of(error, status)
            # The names of today, and the two that most dashboards still know.
            span.set_attributes({"rpc.system.name": "grpc", "rpc.method": self._method})
            span.set_attributes({"rpc.system": "grpc", "rpc.service": _GRPC_SERVICE, "rpc.response.status_code": name})
            failed = name in _GRPC_FAULTS
        else:
            span.set_attributes({"http.route": self._route, "http.response.status_code": status})
            name, failed = str(status), status >= 500
        if error is not None:
            span.set_attribute("topfive.code", error.code)
        if failed:
            span.set_attribute("error.type", name if error is None else error.code)
            span.set_status(Status(StatusCode.ERROR, None if error is None else str(error)[:_MAX_TEXT]))


def url_of(endpoint: str) -> str:
    """Where spans are posted: `endpoint` itself, with the usual path if it has none."""
    bare = endpoint.rstrip("/")
    return endpoint if urlsplit(bare).path else bare + _PATH


def _parent(trace: TraceContext | None) -> Context:
    if trace is None:
        return Context()
    caller = SpanContext(
        trace_id=int(trace.trace_id, 16),
        span_id=int(trace.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if trace.sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([trace.state]) if trace.state else None,
    )
    return set_span_in_context(NonRecordingSpan(caller), Context())


def _stages(report: Report) -> Iterator[tuple[str, float, float]]:
    """Name, start and end of each stage, in seconds after the request's start.

    Their durations are measured. They are laid one after the other from the body's end on: a stage that is split, as
    the queue is for a photo, is one span.
    """
    if report.received is None:
        return
    at = report.received - report.started
    yield "read body", 0.0, at
    timings = report.timings
    if timings is None:
        return
    for name, seconds in (
        ("decode", timings.decode_seconds),
        ("resize", timings.resize_seconds),
        ("queue", timings.queue_seconds),
        ("inference", timings.inference_seconds),
    ):
        yield name, at, at + seconds
        at += seconds


def _grpc_status_of(error: TopfiveError | None, status: int) -> str:
    if error is not None:
        return grpc_status(error)
    return "OK" if status == 200 else "INTERNAL"


def _ns(seconds: float) -> int:
    return round(seconds * _NANOSECONDS)
