"""Spans for OpenTelemetry: one for each request and one for each of its stages, made at its end, sent in background.

What lives here: the only use of OpenTelemetry, the extra `otel`. What does not: whether spans are made
(`serving.tracing`), and the trace that a request belongs to (`observe.trace_context`).
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

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    format_span_id,
    format_trace_id,
)

from topfive import __version__
from topfive.ground.errors import TopfiveError
from topfive.ground.statuses import grpc_status
from topfive.observe.trace_context import TraceContext
from topfive.serving.reporting import Recorder, Report

logger = logging.getLogger("topfive")

_PATH: Final = "/v1/traces"
_NANOSECONDS: Final = 1_000_000_000
_GRPC: Final = "grpc "
"""The beginning of the routes of RPCs, in metrics and the log."""
_GRPC_SERVICE: Final = "inference.GRPCInferenceService"
_GRPC_FAULTS: Final = frozenset(("DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNIMPLEMENTED"))
"""Statuses that OpenTelemetry's conventions call errors of a server."""
_MAX_TEXT: Final = 1000
_FLUSH_SECONDS: Final = 2.0
"""How long a stop waits at most for the receiver to take the last spans."""
_RECORDED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSET: Final = Status(StatusCode.UNSET)


class Spans:
    """Sends spans to the OTLP receiver at `endpoint`; of the traces that begin here, the share `ratio` is recorded.

    For a request that comes with a trace, the trace says whether it is recorded. `now` is the clock of the reports.
    Spans that the receiver does not take in time are dropped: the queue is bounded, and no request waits for it.
    """

    def __init__(self, endpoint: str, *, ratio: float, now: Callable[[], float]) -> None:
        own = Resource({"service.name": "topfive", "service.version": __version__, "process.pid": os.getpid()})
        self.resource = Resource.create().merge(own).merge(OTELResourceDetector().detect())
        self.scope = InstrumentationScope("topfive", __version__)
        self.now = now
        self._sampler = TraceIdRatioBased(ratio)
        self._ids = RandomIdGenerator()
        self._processor: Any = BatchSpanProcessor(OTLPSpanExporter(endpoint=url_of(endpoint)))

    def recorder(self, route: str) -> Recorder:
        """See `Tracing`."""
        return _Recorder(self, route)

    def begin(self, trace: TraceContext | None) -> tuple[SpanContext, SpanContext | None] | None:
        """A new span in `trace` (None begins a trace), and the caller's span; None if it is not to be recorded."""
        if trace is not None:
            caller = _caller(trace) if trace.sampled else None
            return None if caller is None else (self.inside(caller), caller)
        trace_id = self._ids.generate_trace_id()
        if self._sampler.should_sample(None, trace_id, "").decision is not Decision.RECORD_AND_SAMPLE:
            return None
        return SpanContext(trace_id, self._ids.generate_span_id(), is_remote=False, trace_flags=_RECORDED), None

    def inside(self, parent: SpanContext) -> SpanContext:
        """A new span of the same trace as `parent`."""
        own = self._ids.generate_span_id()
        return SpanContext(parent.trace_id, own, False, _RECORDED, parent.trace_state)

    def send(self, span: ReadableSpan) -> None:
        """Queue `span` to be sent in background."""
        self._processor.on_end(span)

    async def close(self, *, seconds: float) -> None:
        """See `Tracing`."""
        loop = asyncio.get_running_loop()
        sent = asyncio.Event()

        def flush() -> None:
            self._processor.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop is closed, so `close` waits no more
                loop.call_soon_threadsafe(sent.set)

        # A daemon thread, which does not keep the process from ending if the receiver does not answer.
        threading.Thread(target=flush, name="last-spans", daemon=True).start()
        try:
            async with asyncio.timeout(min(seconds, _FLUSH_SECONDS)):
                await sent.wait()
        except TimeoutError:
            logger.warning("the last spans were not taken in time; leaving without them")


class _Recorder:
    """Makes the spans of one route, each whole at once: a fifth of the cost of beginning and ending it by the SDK."""

    def __init__(self, spans: Spans, route: str) -> None:
        self._spans = spans
        self._method = f"{_GRPC_SERVICE}/{route.removeprefix(_GRPC)}" if route.startswith(_GRPC) else None
        self._route = route

    def __call__(self, report: Report, status: int, total_seconds: float) -> TraceContext | None:
        try:
            return self._record(report, status, total_seconds)
        except Exception as error:  # the request is answered; a span that fails must not change that
            logger.error("the span of request %s could not be made", report.request_id, exc_info=error)
            return report.trace

    def _record(self, report: Report, status: int, total_seconds: float) -> TraceContext | None:
        spans = self._spans
        begun = spans.begin(report.trace)
        if begun is None:
            return report.trace
        own, caller = begun
        # The wall clock is read only once: it may jump, and the durations of the stages must not.
        began = time.time_ns() - _ns(spans.now() - report.started)
        for stage, start, end in _stages(report):
            self._send(stage, spans.inside(own), own, (began + _ns(start), began + _ns(end)))
        name = self._method or f"POST {self._route}"
        attributes, verdict = self._attributes(report, status)
        times = (began, began + _ns(total_seconds))
        self._send(name, own, caller, times, kind=SpanKind.SERVER, attributes=attributes, status=verdict)
        return TraceContext(format_trace_id(own.trace_id), format_span_id(own.span_id), sampled=True, state="")

    def _send(
        self, name: str, own: SpanContext, parent: SpanContext | None, times: tuple[int, int], **more: Any
    ) -> None:
        start, end = times
        span = ReadableSpan(
            name,
            own,
            parent,
            resource=self._spans.resource,
            instrumentation_scope=self._spans.scope,
            start_time=start,
            end_time=end,
            **more,
        )
        self._spans.send(span)

    def _attributes(self, report: Report, status: int) -> tuple[dict[str, str | int], Status]:
        """The attributes of a request and its status, by OpenTelemetry's conventions for its protocol."""
        found: dict[str, str | int] = {
            "topfive.request_id": report.request_id,
            "topfive.images": report.images,
            "topfive.body_bytes": report.nbytes,
            **report.attributes(),
        }
        if report.model is not None:
            found["topfive.model.name"] = report.model.name
            found["topfive.model.version"] = str(report.model.version)
        error = report.error
        if error is not None:
            found["topfive.code"] = error.code
        if self._method is None:
            name, failed = str(status), status >= 500
            found |= {"http.route": self._route, "http.response.status_code": status}
        else:
            name = _grpc_status_of(error, status)
            failed = name in _GRPC_FAULTS
            # The present names, and the two older ones that most dashboards still use.
            found |= {"rpc.system.name": "grpc", "rpc.method": self._method, "rpc.response.status_code": name}
            found |= {"rpc.system": "grpc", "rpc.service": _GRPC_SERVICE}
        if not failed:
            return found, _UNSET
        found["error.type"] = name if error is None else error.code
        return found, Status(StatusCode.ERROR, None if error is None else str(error)[:_MAX_TEXT])


def url_of(endpoint: str) -> str:
    """The URL to which spans are posted: `endpoint`, with the usual path if it has none."""
    bare = endpoint.rstrip("/")
    return endpoint if urlsplit(bare).path else bare + _PATH


def _caller(trace: TraceContext) -> SpanContext:
    """The client's span, from which a request comes."""
    state = TraceState.from_header([trace.state]) if trace.state else None
    return SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), True, _RECORDED, state)


def _stages(report: Report) -> Iterator[tuple[str, float, float]]:
    """Name, start and end of each stage, in seconds after the request's start.

    Their durations are measured, their starts are not: the stages are laid one after the other from the body's end on.
    A stage in several parts, as a photo waits for a thread and then for a batch, is one span.
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
