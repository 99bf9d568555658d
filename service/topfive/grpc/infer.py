"""`ModelInfer`: the protocol's inference over gRPC, in the same steps as over HTTP.

What lives here: gRPC's part of it. What does not: what the messages mean (`grpc.codec`). An RPC is reported with the
status that HTTP would have answered, so that dashboards can add both up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from topfive.access.api_keys import unauthenticated
from topfive.access.tenants import Tenant
from topfive.ground.client_addresses import ClientAddresses
from topfive.ground.errors import ClientDisconnected, DeadlineExceeded, TopfiveError
from topfive.grpc.calls import Calls
from topfive.grpc.codec import parse, read_infer, render
from topfive.grpc.refusals import ID, Refusal, given, refusal_of, refuse
from topfive.grpc.wire import split
from topfive.observe.logs import RequestLog
from topfive.protocol.parameters import HIGHEST_PRIORITY
from topfive.protocol.requests import InferRequest, version_of
from topfive.request.admission import Entry
from topfive.request.classifier import Announced
from topfive.serving.reporting import Report, Reporter, log_failure
from topfive.serving.serving import Serving

ROUTE: Final = "grpc ModelInfer"
_NEVER: Final = float("inf")
_CLOCK_SECONDS: Final = 0.1
"""A client's deadline passes so much earlier, at most, than it does here: its clock began before the request came."""
_LIGHT_BYTES: Final = 1 << 14
"""A message with at most so much beside raw tensors is parsed at once: two changes of thread and back take longer."""


def _end_of(context: Any) -> TopfiveError:
    """Why an RPC was cancelled: it was not answered by its deadline, which is ours to keep, or its client has left."""
    left = context.time_remaining()
    if left is not None and left <= _CLOCK_SECONDS:
        return DeadlineExceeded("the RPC was not answered by its deadline")
    return ClientDisconnected("the RPC ended before it was answered")


class _Rpc(Report):
    """One RPC."""

    __slots__ = ("_context",)

    def __init__(self, context: Any, *, started: float) -> None:
        super().__init__(*given(context), started=started)
        self._context = context

    def header(self, name: str) -> bytes | None:
        """See `Report`."""
        metadata = self._context.invocation_metadata() or ()
        found = next((value for key, value in metadata if key == name), None)
        return found.encode() if isinstance(found, str) else found

    def origin(self, clients: ClientAddresses) -> Mapping[str, str]:
        """See `Report`. The peer is `ipv4:127.0.0.1:80`, `ipv6:%5B::1%5D:80` or `unix:…`."""
        peer = unquote(self._context.peer()).partition(":")[2]
        metadata = self._context.invocation_metadata()
        forwarded = ",".join(str(value) for name, value in metadata if name == "x-forwarded-for")
        return {"method": "POST", "client": clients.find(peer, forwarded)}


class Infer:
    """Answers the RPC on `serving`."""

    def __init__(self, serving: Serving, log: RequestLog, calls: Calls) -> None:
        self._serving = serving
        self._calls = calls
        self._reporter = Reporter(serving.metrics, log, route=ROUTE, tracing=serving.tracing, clients=serving.clients)
        self._now = serving.clock.now

    async def __call__(self, _: object, context: Any) -> bytes:
        """Answer one RPC; every error of `topfive.ground.errors` becomes its status here."""
        report = _Rpc(context, started=self._now())
        refusal: Refusal | None = None
        answer, status = b"", 200
        try:
            answer = await self._answer(context, report)
        except TopfiveError as error:
            status = self._reporter.refused(report, error)
            refusal = refusal_of(error, report.request_id)
        except asyncio.CancelledError:  # the client has left, its deadline passed, or the time for the stop is over
            ended = _end_of(context)
            self._reporter.finished(report, self._reporter.refused(report, ended), self._now() - report.started)
            raise
        except Exception as error:  # noqa: BLE001  # our own defects are answered and logged too
            status, refusal = 500, refusal_of(error, report.request_id)
            log_failure(report.request_id, error)
        self._reporter.finished(report, status, self._now() - report.started)
        if refusal is not None:
            await refuse(context, refusal)
        context.set_trailing_metadata(((ID, report.request_id),))
        return answer

    async def _answer(self, context: Any, report: Report) -> bytes:
        serving, classifier = self._serving, self._serving.classifier
        left = context.time_remaining()
        latest = _NEVER if left is None else report.started + left
        tenant = report.tenant = self._tenant_of(report)
        shares = None if tenant is None else tenant.shares
        if tenant is not None:
            tenant.check(1)
        if classifier.lookup is None:  # else what is in the answer cache takes no place in flight
            serving.admission.check_requests(shares)
        with self._calls.of(context.peer(), shares) as call:
            message = await call.receive(context.read)
            report.nbytes = len(message)
            report.received = self._now()
            rest, tensors = split(message)
            light = len(rest) <= _LIGHT_BYTES
            read = partial(read_infer, rest, max_bytes=serving.settings.max_json_bytes)
            request = read() if light else await classifier.aside(read, _never_abandoned)
            model = report.model = serving.trials.find(
                request.model_name, version_of(request.model_version or None), report
            )
            announced = Announced(
                model,
                report.started,
                nbytes=len(message),
                latest=latest,
                priority=HIGHEST_PRIORITY,
                tenant=tenant,
            )
            understand = partial(parse, request, tensors, model, limits=serving.limits)
            door = _Door(len(message), understand, light=light)
            wanted, result = await serving.trials.answer(announced, door, report)
        report.answered(result)
        return render(result.model, wanted.id, wanted.outputs, result.rows)

    def _tenant_of(self, report: Report) -> Tenant | None:
        """The tenant whose key the RPC came with; `grpc.authentication` has let it in."""
        keys = self._serving.credentials.keys
        if keys is None:
            return None
        tenant = keys.tenant_of((report.header("authorization") or b"").decode("latin-1"))
        if tenant is None:  # the key was taken away at this moment
            raise unauthenticated()
        return tenant


class _Door:
    """One RPC, whose message is here already; see `request.classifier.Door`."""

    __slots__ = ("_light", "_nbytes", "understand")

    def __init__(self, nbytes: int, understand: Callable[[], InferRequest], *, light: bool) -> None:
        self._nbytes = nbytes
        self._light = light
        self.understand = understand

    async def receive(self, entry: Entry) -> None:
        entry.charge(self._nbytes)

    def is_light(self) -> bool:
        return self._light

    def is_abandoned(self) -> bool:
        return _never_abandoned()


def _never_abandoned() -> bool:
    """False, always: if the client hangs up, gRPC cancels this RPC's task, which takes its items out of the queue."""
    return False
