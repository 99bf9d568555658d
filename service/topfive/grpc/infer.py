"""`ModelInfer`: the protocol's inference over gRPC, through the same doors as `routes.infer`.

What lives here: gRPC's part of it. What the messages mean is in `grpc_api.codec`. An RPC is reported with the status
that HTTP would have answered, so that dashboards add up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from topfive.ground.client_addresses import ClientAddresses
from topfive.ground.errors import ClientDisconnected, TopfiveError
from topfive.grpc.codec import parse, read_infer, render
from topfive.grpc.places import Places
from topfive.grpc.refusals import ID, Refusal, given, refusal_of, refuse
from topfive.grpc.wire import split
from topfive.observe.logs import RequestLog
from topfive.protocol.parameters import HIGHEST_PRIORITY
from topfive.protocol.requests import version_of
from topfive.request.entry import Entry
from topfive.serving.reporting import Report, Reporter, log_failure
from topfive.serving.serving import Serving

ROUTE: Final = "grpc ModelInfer"
_NEVER: Final = float("inf")
_LIGHT_BYTES: Final = 1 << 14
"""Message beside its raw tensors that is read in less time than a change of thread and back takes twice."""


class _Rpc(Report):
    """One RPC."""

    __slots__ = ("_context",)

    def __init__(self, context: Any, *, started: float) -> None:
        super().__init__(*given(context), started=started)
        self._context = context

    def origin(self, clients: ClientAddresses) -> Mapping[str, str]:
        """See `Report`. The peer is `ipv4:127.0.0.1:80`, `ipv6:%5B::1%5D:80` or `unix:…`."""
        peer = unquote(self._context.peer()).partition(":")[2]
        metadata = self._context.invocation_metadata()
        forwarded = ",".join(str(value) for name, value in metadata if name == "x-forwarded-for")
        return {"method": "POST", "client": clients.find(peer, forwarded)}


class Infer:
    """Answers the RPC on `serving`."""

    def __init__(self, serving: Serving, log: RequestLog, places: Places) -> None:
        self._serving = serving
        self._places = places
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
        except asyncio.CancelledError:  # the client has left, its time is up, or the stop's bound is reached
            left = ClientDisconnected("the RPC ended before it was answered")
            self._reporter.finished(report, self._reporter.refused(report, left), self._now() - report.started)
            raise
        except Exception as error:  # noqa: BLE001  # a defect of ours must answer too, and leave its trace in the log
            status, refusal = 500, refusal_of(error, report.request_id)
            log_failure(report.request_id, error)
        self._reporter.finished(report, status, self._now() - report.started)
        if refusal is not None:
            await refuse(context, refusal)
        context.set_trailing_metadata(((ID, report.request_id),))
        return answer

    async def _answer(self, context: Any, report: Report) -> bytes:
        serving, started = self._serving, report.started
        left = context.time_remaining()
        hangs_up = _NEVER if left is None else started + left
        models, classifier = serving.models, serving.classifier
        serving.admission.check_requests()
        with self._places.of(context.peer()) as place:
            message = await place.receive(context.read)
            report.nbytes = len(message)
            report.received = self._now()
            rest, tensors = split(message)
            light = len(rest) <= _LIGHT_BYTES
            read = partial(read_infer, rest, max_bytes=serving.settings.max_json_bytes)
            request = read() if light else await classifier.aside(read)
            model = report.model = models.find(request.model_name, version_of(request.model_version or None))
            deadline = min(hangs_up, classifier.deadline(model, None, since=started))
            with Entry(
                serving.admission, model, nbytes=len(message), images=1, deadline=deadline, priority=HIGHEST_PRIORITY
            ) as entry:
                entry.charge(len(message))
                understand = partial(parse, request, tensors, model, limits=serving.limits)
                wanted = understand() if light else await classifier.aside(understand)
                if wanted.timeout_seconds is not None:
                    deadline = min(hangs_up, classifier.deadline(model, wanted.timeout_seconds, since=started))
                result = await classifier.classify(
                    model,
                    wanted.body,
                    wanted.source,
                    entry=entry,
                    deadline=deadline,
                    abandoned=_attached,
                    priority=wanted.priority,
                )
        report.timings = result.timings
        report.images = len(result.rows)
        return render(model, wanted.id, wanted.outputs, result.rows)


def _attached() -> bool:
    """Whether the client has hung up: then gRPC has cancelled this RPC's task, which withdraws it from the queue."""
    return False
