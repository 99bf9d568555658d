"""`grpc.health.v1.Health`: tells gRPC's own probes and load balancers whether to send requests here.

What lives here: the names that may be asked about (the server, its inference service, a model), and the RPCs that watch
them. What does not: when the service is ready (`ground.lifecycle`), which models are served (`models.live`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import grpc

from topfive.ground.errors import NotReady, QueueFull, TopfiveError, UnknownModel
from topfive.grpc.calls import Calls
from topfive.grpc.codec import read_message
from topfive.grpc.protos import POOL, HealthCheckRequest, HealthCheckResponse, HealthListResponse, message_class
from topfive.grpc.servicer import SERVICE as INFERENCE
from topfive.grpc.unary import answering, refuse_with, to_bytes
from topfive.protocol.requests import version_of
from topfive.serving.serving import Serving

SERVICE: Final = POOL.FindServiceByName("grpc.health.v1.Health")
OPEN: Final = tuple(f"/{SERVICE.full_name}/{method.name}" for method in SERVICE.methods)
"""Paths of the service's RPCs; they are open to all, because a probe has no API key."""

_MAX_BYTES: Final = 1 << 12
"""The most bytes of a question, which is a name."""
_SERVING, _NOT_SERVING, _UNKNOWN = "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"
_WHOLE: Final = ("", INFERENCE.full_name)
"""The names of the server as a whole: the empty name, and that of the inference service."""


class Health:
    """Answers the RPCs on `serving`; made and used on its event loop."""

    def __init__(self, serving: Serving) -> None:
        settings = serving.settings
        self._serving = serving
        # Health has calls of its own, so that no other RPC can keep a probe out.
        self._calls = Calls(settings.grpc_max_requests, seconds=settings.head_seconds, max_bytes=_MAX_BYTES)
        self._watchers = 0
        self._ended = False

    @property
    def handlers(self) -> Mapping[str, grpc.RpcMethodHandler]:
        """The handler of each RPC, by its path."""
        unary = grpc.stream_unary_rpc_method_handler
        asked_for_all = message_class("grpc.health.v1.HealthListRequest")
        check, everything, watch = OPEN
        return {
            check: unary(answering(self._calls, HealthCheckRequest, self._check)),
            everything: unary(answering(self._calls, asked_for_all, self._list)),
            watch: grpc.stream_stream_rpc_method_handler(self._watch),
        }

    def end(self) -> None:
        """End the RPCs that watch: the server stops, and would wait for them."""
        self._ended = True
        self._serving.changed.ring()

    def status(self, name: str) -> str:
        """The protocol's name for the status of `name`: the server, a model, or `model/version`.

        While the service starts, its models are not known yet, so no model has the status "unknown".
        """
        status = _SERVING if self._serving.lifecycle.ready else _NOT_SERVING
        if name in _WHOLE:
            return status
        model, slash, version = name.partition("/")
        try:
            self._serving.models.find(model, version_of(version) if slash else None)
        except NotReady:
            return _NOT_SERVING
        except UnknownModel:
            return _NOT_SERVING if name in self._known() else _UNKNOWN
        return status

    def _known(self) -> list[str]:
        """Names of all models in the repository, served or not, alone and with each version."""
        try:
            index = self._serving.control.index()
        except NotReady:
            return []
        steps = self._serving.models.only_steps
        entries = [entry for entry in index if entry.name not in steps]
        versions = [f"{entry.name}/{entry.version}" for entry in entries if entry.version]
        return [*{entry.name: None for entry in entries}, *versions]

    async def _check(self, request: Any) -> Any:
        status = self.status(request.service)
        if status == _UNKNOWN:
            raise UnknownModel(
                f"'{request.service[:100]}' is no model that is known here; ask for '' (the server), "
                f"'{INFERENCE.full_name}', '<model>' or '<model>/<version>'"
            )
        return HealthCheckResponse(status=status)

    async def _list(self, request: Any) -> Any:
        answer = HealthListResponse()
        for name in (*_WHOLE, *self._known()):
            answer.statuses[name].CopyFrom(HealthCheckResponse(status=self.status(name)))
        return answer

    async def _watch(self, _: object, context: Any) -> None:
        """Send the status now and at every change, until the client leaves or the server stops."""
        try:
            name = await self._asked(context)
            if self._watchers >= self._serving.settings.max_connections:
                raise QueueFull(f"{self._watchers} RPCs watch already, the most at once (max_connections); use Check")
            self._watchers += 1
            try:
                await self._keep_telling(name, context)
            finally:
                self._watchers -= 1
            raise NotReady("the service stops; watch another replica")
        except TopfiveError as error:
            refused: Exception = error
        except Exception as error:  # noqa: BLE001  # our own defects are answered and logged too
            refused = error
        await refuse_with(context, refused)

    async def _asked(self, context: Any) -> str:
        with self._calls.of(context.peer()) as call:
            message = await call.receive(context.read)
            name: str = read_message(HealthCheckRequest, message).service
            return name

    async def _keep_telling(self, name: str, context: Any) -> None:
        told = ""
        while True:
            status = self.status(name)
            if status != told:
                await context.write(to_bytes(HealthCheckResponse(status=status)))
                told = status
            elif self._ended:
                return
            else:
                await self._serving.changed.wait()
