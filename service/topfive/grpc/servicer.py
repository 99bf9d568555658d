"""`GRPCInferenceService`: every RPC of Triton's service, offered or refused.

What lives here: health, descriptions and model control. What does not: inference (`grpc.infer`), the content of the
descriptions (`protocol.descriptions`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final

import grpc
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import service_pb2 as pb

from topfive.ground.errors import UnknownModel, Unsupported
from topfive.grpc.calls import Calls
from topfive.grpc.codec import parameter_values
from topfive.grpc.infer import Infer
from topfive.grpc.unary import Answer, Handler, answering, refuse_with, to_bytes
from topfive.models.served import ServedModel
from topfive.observe.logs import RequestLog
from topfive.protocol import descriptions
from topfive.protocol.parameters import flag_of, refuse_model_files
from topfive.protocol.requests import version_of
from topfive.serving.serving import Serving

SERVICE: Final = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
OPEN: Final = ("ServerLive", "ServerReady")
"""RPCs that need no API key."""

_INSTEAD: Final = {
    "SharedMemory": "send tensors in the request",
    "Stream": "send each request by ModelInfer",
    "Trace": "durations are in the metrics, over HTTP at /metrics, and in the log",
    "LogSettings": "the settings log_level and log_requests say what is logged",
}
"""What to do instead of an RPC that is not offered, by a part of its name."""


def path_of(method: str) -> str:
    """The path by which gRPC names the RPC `method` of the service."""
    return f"/{SERVICE.full_name}/{method}"


class Servicer:
    """Answers the RPCs on `serving`; made and used on its event loop."""

    def __init__(self, serving: Serving, log: RequestLog) -> None:
        settings = serving.settings
        self._serving = serving
        self._changes: set[asyncio.Task[None]] = set()
        # Inference has calls of its own, so that clients that ask slowly for descriptions cannot keep it out.
        most, longest = settings.grpc_max_requests, settings.grpc_max_message_bytes
        calls = Calls(most, seconds=settings.head_seconds, max_bytes=longest)
        inferring = Calls(most, seconds=settings.body_seconds, max_bytes=longest)
        answers: dict[str, Answer] = {
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
            "ModelConfig": self.model_config,
            "ModelStatistics": self.model_statistics,
            "RepositoryIndex": self.repository_index,
            "RepositoryModelLoad": self.load,
            "RepositoryModelUnload": self.unload,
        }
        # A unary RPC is handled as a stream of one message: so its handler is called before the message is received.
        unary = grpc.stream_unary_rpc_method_handler
        self._all_calls = (calls, inferring)
        self._inferring = inferring
        self._handlers = {method.name: unary(_not_offered(method.name)) for method in SERVICE.methods}
        self._handlers |= {
            name: unary(answering(calls, getattr(pb, SERVICE.methods_by_name[name].input_type.name), answer))
            for name, answer in answers.items()
        }
        self._handlers["ModelInfer"] = unary(Infer(serving, log, inferring).__call__)
        self._handlers["ServerLive"] = unary(self._live)
        self._handlers["ServerReady"] = unary(self._ready)

    @property
    def handlers(self) -> Mapping[str, grpc.RpcMethodHandler]:
        """The handler of each RPC, by its path."""
        return {path_of(name): handler for name, handler in self._handlers.items()}

    @property
    def busy(self) -> bool:
        """Whether any RPC that needs a message is being received or answered."""
        return any(calls.taken for calls in self._all_calls)

    @property
    def inferring(self) -> int:
        """How many inference requests are held."""
        return self._inferring.taken

    def hurry(self, seconds: float) -> None:
        """The service stops: messages that are still on their way may take at most `seconds` from now."""
        for calls in self._all_calls:
            calls.hurry(seconds)

    async def _live(self, _: object, context: Any) -> bytes:
        """True as long as the process answers; it does not even wait for the RPC's empty message."""
        return to_bytes(pb.ServerLiveResponse(live=True))

    async def _ready(self, _: object, context: Any) -> bytes:
        return to_bytes(pb.ServerReadyResponse(ready=self._serving.lifecycle.ready))

    async def model_ready(self, request: Any) -> Any:
        """Whether requests for this model should be sent here; an unknown model is not ready, rather than an error."""
        if not self._serving.lifecycle.ready:
            return pb.ModelReadyResponse(ready=False)
        try:
            self._find(request.name, request.version)
        except UnknownModel:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def server_metadata(self, request: Any) -> Any:
        """The server and the extensions of the protocol that it offers."""
        return ParseDict(descriptions.server_metadata(self._serving.settings), pb.ServerMetadataResponse())

    async def model_metadata(self, request: Any) -> Any:
        """The model's tensors."""
        model = self._find(request.name, request.version)
        versions = [served.version for served in self._serving.models if served.name == model.name]
        return ParseDict(descriptions.model_metadata(model, versions), pb.ModelMetadataResponse())

    async def model_config(self, request: Any) -> Any:
        """The model's configuration."""
        model = self._find(request.name, request.version)
        return pb.ModelConfigResponse(config=descriptions.config_message(model))

    async def model_statistics(self, request: Any) -> Any:
        """Statistics of one version, of all versions of a model, or of all models."""
        models = self._serving.models
        if request.version:
            found = [self._find(request.name, request.version)]
        elif request.name:
            name = models.find(request.name).name
            found = [model for model in models if model.name == name]
        else:
            found = list(models)
        return ParseDict(descriptions.model_statistics(found, self._serving.settings), pb.ModelStatisticsResponse())

    async def repository_index(self, request: Any) -> Any:
        """Every model in the repository, with every known version, and whether it is served."""
        answer = pb.RepositoryIndexResponse()
        for entry in self._serving.control.index(ready=request.ready):
            answer.models.add(name=entry.name, version=entry.version, state=entry.state, reason=entry.reason)
        return answer

    async def load(self, request: Any) -> Any:
        """Load what the repository now holds for this model, and serve it; the answer comes when it is warm."""
        refuse_model_files(request.parameters)
        await self._see_through(self._serving.control.load(request.model_name))
        return pb.RepositoryModelLoadResponse()

    async def unload(self, request: Any) -> Any:
        """Stop serving this model; requests that came before are still answered."""
        dependents = flag_of(parameter_values(request.parameters), "unload_dependents")
        await self._see_through(self._serving.control.unload(request.model_name, unload_dependents=dependents))
        return pb.RepositoryModelUnloadResponse()

    async def _see_through(self, change: Coroutine[Any, Any, None]) -> None:
        """Await `change`, which goes on even if its client leaves, as it does over HTTP."""
        task = asyncio.get_running_loop().create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        await asyncio.shield(task)

    def _find(self, name: str, version: str) -> ServedModel:
        return self._serving.models.find(name, version_of(version or None))


def _not_offered(method: str) -> Handler:
    """A handler that refuses the RPC `method` at once."""
    what = next((text for part, text in _INSTEAD.items() if part in method), "it")
    refused = Unsupported(f"{method} is not offered: {what}")

    async def handle(_: object, context: Any) -> bytes:
        return await refuse_with(context, refused)

    return handle
