"""Reports on requests of all protocols: statistics, metric, log line and span, with the same numbers in each.

What lives here: the report that a request fills on its way, and where it is sent. What does not: answers to clients
(`http`, `grpc`).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from topfive.access.tenants import Tenant
from topfive.backends.rows import first_of
from topfive.ground.client_addresses import UNKNOWN, ClientAddresses
from topfive.ground.errors import QuotaExceeded, RateLimited, TopfiveError
from topfive.ground.statuses import http_status
from topfive.ground.types import LookedUp, Timings
from topfive.models.served import ServedModel
from topfive.observe.logs import RequestLog
from topfive.observe.metrics import Metrics
from topfive.observe.trace_context import TraceContext
from topfive.request.classifier import Classification

logger = logging.getLogger("topfive")

_MAX_REQUEST_ID: Final = 128
_REFUSED: Final = 400
_LIMITS: Final = (RateLimited, QuotaExceeded)
_MAX_ERROR: Final = 300
"""At most so many characters of an error message are in the line of a request."""


class Report:
    """What is known of one request. `given_id`: the id that its client gave it; `trace`: the client's own span.

    `started`, and `received`, when the body was whole, are monotonic seconds of the service's clock. `tenant`: whose
    key it came with; None where no keys are asked for.
    """

    __slots__ = (
        "arm",
        "error",
        "images",
        "looked_up",
        "model",
        "nbytes",
        "received",
        "request_id",
        "result",
        "started",
        "tenant",
        "timings",
        "trace",
    )

    def __init__(self, given_id: bytes | None, trace: TraceContext | None = None, *, started: float = 0.0) -> None:
        self.request_id = request_id_of(given_id)
        self.trace = trace
        self.started = started
        self.received: float | None = None
        self.arm: str | None = None
        self.tenant: Tenant | None = None
        self.error: TopfiveError | None = None
        self.model: ServedModel | None = None
        self.images = 0
        self.nbytes = 0
        self.timings: Timings | None = None
        self.looked_up: LookedUp | None = None
        self.result: Classification | None = None

    def answered(self, result: Classification) -> None:
        """The request has this result; its model may be another than was asked first (`rollout.trials`)."""
        self.result = result
        self.model = result.model
        self.images = len(result.rows)
        self.timings = result.timings
        self.looked_up = result.looked_up

    def header(self, name: str) -> bytes | None:
        """The value of the header `name` (lower case), None if the request has none."""
        return None

    def attributes(self) -> Mapping[str, str]:
        """Further facts that its protocol knows, named as in OpenTelemetry; for its span."""
        return {}

    def origin(self, clients: ClientAddresses) -> Mapping[str, str]:
        """The method and the client's address; for the log line of a refused request."""
        return {"method": "", "client": UNKNOWN}


Recorder = Callable[[Report, int, float], TraceContext | None]
"""Makes the span of a request, called with the arguments of `Reporter.finished`; returns the span to log, if any."""


class Tracing(Protocol):
    """Makes spans and sends them."""

    def recorder(self, route: str) -> Recorder:
        """Return the recorder that makes the spans of `route`."""

    async def close(self, *, seconds: float) -> None:
        """Send the remaining spans, in at most so many seconds."""


class Reporter:
    """Reports the requests of one `route`, each once by `finished`; without `tracing` no spans are made.

    A report that fails is a defect of ours. It is logged, and the request does not fail.
    """

    def __init__(
        self,
        metrics: Metrics,
        log: RequestLog,
        *,
        route: str,
        tracing: Tracing | None = None,
        clients: ClientAddresses | None = None,
    ) -> None:
        self._metrics = metrics
        self._log = log
        self._route = route
        self._clients = clients or ClientAddresses()
        self._record = None if tracing is None else tracing.recorder(route)

    def refused(self, report: Report, error: TopfiveError) -> int:
        """Count a refusal, log it if it is a 500, and return the HTTP status of `error`, also for other protocols."""
        report.error = error
        status = http_status(error)
        if status == 500:
            log_failure(report.request_id, error)
        try:
            self._metrics.rejected.labels(error.code).inc()
            if report.tenant is not None:
                self._metrics.tenants.refused(report.tenant.name, error.code)
        except Exception as failure:  # noqa: BLE001  # see class
            _log_own_failure(report, failure)
        return status

    def finished(self, report: Report, status: int, total_seconds: float) -> None:
        """Report a request that was answered after `total_seconds`, with `status` or its equivalent in HTTP."""
        try:
            self._tell(report, status, total_seconds)
        except Exception as failure:  # noqa: BLE001  # see class
            _log_own_failure(report, failure)

    def _tell(self, report: Report, status: int, total_seconds: float) -> None:
        model = report.model
        if model is not None:
            looked_up = report.looked_up
            model.count(report.images, report.timings, total_seconds, looked_up=looked_up)
            if report.timings is not None:
                ran = looked_up is None or not looked_up.is_whole
                model.metrics.answered(report.images, report.timings if ran else None)
            if report.result is not None:
                for row, sent in zip(report.result.rows, report.result.sent, strict=True):
                    model.metrics.drift.count(*first_of(row), sent)
        tenant = report.tenant
        if tenant is not None:
            self._metrics.tenants.answered(tenant.name, report.images)
        name = "" if model is None else model.name
        # What a tenant's own limit refuses says nothing of the service, whose objectives count all of 429.
        code = f"{status} limit" if isinstance(report.error, _LIMITS) else status
        self._metrics.observe_request(self._route, name, code, total_seconds)
        span = report.trace if self._record is None else self._record(report, status, total_seconds)
        if not self._log.enabled:
            return
        self._log.write(
            {
                "request_id": report.request_id,
                "route": self._route,
                "model": name,
                **({} if tenant is None else {"tenant": tenant.name}),
                "status": status,
                "images": report.images,
                "body_bytes": report.nbytes,
                "total_seconds": round(total_seconds, 6),
                **_stages(report.timings),
                **({} if report.looked_up is None else {"cache_hits": report.looked_up.hits}),
                **({} if span is None else {"trace_id": span.trace_id, "span_id": span.span_id}),
                **({} if status < _REFUSED else self._refusal(report)),
            }
        )

    def _refusal(self, report: Report) -> dict[str, str]:
        """The reason of a refusal, and the request's method and client. A 500 has lines of its own in the log."""
        error = report.error
        if error is None or http_status(error) == 500:
            why = {"code": "internal", "error": "see the lines of this request_id"}
        else:
            why = {"code": error.code, "error": error.logged[:_MAX_ERROR]}
        return {
            **why,
            **report.origin(self._clients),
        }


def log_failure(request_id: str, error: Exception) -> None:
    """Log a failure of ours with its traceback."""
    logger.error("request %s failed", request_id, exc_info=error)


def _log_own_failure(report: Report, error: Exception) -> None:
    logger.error("request %s is not reported as it should be", report.request_id, exc_info=error)


def request_id_of(given: bytes | None) -> str:
    """The client's id if it is short and only of letters, digits and hyphens, else a new one."""
    if given is not None and len(given) <= _MAX_REQUEST_ID and given.replace(b"-", b"").isalnum():
        return given.decode("ascii")
    return f"{random.getrandbits(64):016x}"  # an id to search logs by, not a secret


def _stages(timings: Timings | None) -> dict[str, float]:
    if timings is None:
        return {}
    return {
        "decode_seconds": round(timings.decode_seconds, 6),
        "resize_seconds": round(timings.resize_seconds, 6),
        "queue_seconds": round(timings.queue_seconds, 6),
        "inference_seconds": round(timings.inference_seconds, 6),
    }
