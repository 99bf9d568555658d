"""A receiver of spans: OTLP over HTTP, as a collector speaks it, on a free port."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_SECONDS: Final = 60.0
"""For whatever is waited for; far above what anything takes, so that only a hang reaches it."""


@dataclass(frozen=True)
class SpanSeen:
    """A span as it came, ids in hex, and the attributes of the process that sent it."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    trace_state: str
    start: int
    end: int
    status: int
    message: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Receiver:
    """What has come so far, and whether to take more."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    spans: list[SpanSeen] = field(default_factory=list)
    status: int = 200
    silent: bool = False
    news: threading.Condition = field(default_factory=threading.Condition)
    ended: threading.Event = field(default_factory=threading.Event)

    def take(self, path: str, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self.news:
            self.paths.append(path)
            for resource in request.resource_spans:
                sender = _attributes(resource.resource.attributes)
                self.spans += [_seen(span, sender) for scope in resource.scope_spans for span in scope.spans]
            self.news.notify_all()

    def of(self, trace_id: str) -> list[SpanSeen]:
        return [span for span in self.spans if span.trace_id == trace_id]

    def wait_for(self, count: int) -> list[SpanSeen]:
        """All spans, once there are so many."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.spans) >= count, _SECONDS), self.spans
            return list(self.spans)


@contextmanager
def receiving(**initial: Any) -> Iterator[Receiver]:
    """A receiver that listens for the length of the `with` block."""
    receiver = Receiver(**initial)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if receiver.silent:
                receiver.ended.wait(_SECONDS)
            elif receiver.status == 200:
                coded = self.headers.get("content-encoding") == "gzip"
                receiver.take(self.path, gzip.decompress(body) if coded else body)
            self.send_response(receiver.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # theirs
            """Not to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(_SECONDS)


def _attributes(given: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in given}


def _seen(span: Any, resource: dict[str, Any]) -> SpanSeen:
    return SpanSeen(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        trace_state=span.trace_state,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        status=span.status.code,
        message=span.status.message,
        attributes=_attributes(span.attributes),
        resource=resource,
    )
