"""gRPC's server reflection: describes the services here to clients that have no copy of their description.

What lives here: the answers, in both versions of the protocol. What does not: their messages (`grpc.protos`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from topfive.config.settings import Settings
from topfive.ground.errors import MalformedRequest, TopfiveError
from topfive.grpc.calls import Calls
from topfive.grpc.codec import read_message
from topfive.grpc.health import SERVICE as HEALTH
from topfive.grpc.protos import POOL, REFLECTION_VERSIONS, message_class
from topfive.grpc.servicer import SERVICE as INFERENCE
from topfive.grpc.unary import refuse_with, to_bytes

_MAX_REQUESTS: Final = 1000
"""The most questions on one stream: a client asks once for each file, and there are five."""
_MAX_BYTES: Final = 1 << 12
"""The most bytes of a question, which is a name."""
_POOLS: Final[tuple[Any, ...]] = (POOL, INFERENCE.file.pool)
_NOT_FOUND, _UNIMPLEMENTED = (code.value[0] for code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED))


class Reflection:
    """Answers the RPC. Calls of its own bound how many streams ask at once, and how long each may take per question."""

    def __init__(self, settings: Settings) -> None:
        self._calls = Calls(settings.grpc_max_requests, seconds=settings.head_seconds, max_bytes=_MAX_BYTES)
        self._files = _described()

    @property
    def handlers(self) -> Mapping[str, grpc.RpcMethodHandler]:
        """The handler of each version, by its path."""
        stream = grpc.stream_stream_rpc_method_handler
        return {
            f"/{_service(version)}/ServerReflectionInfo": stream(self._answering(version))
            for version in REFLECTION_VERSIONS
        }

    def _answering(self, version: str) -> Callable[[object, Any], Any]:
        asked = message_class(f"grpc.reflection.{version}.ServerReflectionRequest")
        answered = message_class(f"grpc.reflection.{version}.ServerReflectionResponse")

        async def handle(_: object, context: Any) -> None:
            try:
                with self._calls.of(context.peer()) as call:
                    for _ in range(_MAX_REQUESTS):
                        message = await call.receive_next(context.read)
                        if message is None:
                            return
                        request = read_message(asked, message)
                        answer = answered(valid_host=request.host, original_request=request)
                        self._answer(request, answer)
                        await context.write(to_bytes(answer))
                    raise MalformedRequest(f"more than {_MAX_REQUESTS} questions on one stream; begin another")
            except TopfiveError as error:
                refused: Exception = error
            except Exception as error:  # noqa: BLE001  # our own defects are answered and logged too
                refused = error
            await refuse_with(context, refused)

        return handle

    def _answer(self, request: Any, answer: Any) -> None:
        """Fill in `answer`; that something is not found is an answer too."""
        match request.WhichOneof("message_request"):
            case "list_services":
                for name in (INFERENCE.full_name, HEALTH.full_name, *map(_service, REFLECTION_VERSIONS)):
                    answer.list_services_response.service.add(name=name)
            case "file_by_filename":
                self._describe(request.file_by_filename, answer)
            case "file_containing_symbol":
                self._describe(_file_with(request.file_containing_symbol), answer)
            case "file_containing_extension" | "all_extension_numbers_of_type":
                _refuse(answer, _NOT_FOUND, "there are no extensions here")
            case _:
                _refuse(answer, _UNIMPLEMENTED, "this question is not known here")

    def _describe(self, name: str | None, answer: Any) -> None:
        """Answer with the file `name` and all files that it imports, so that the client need not ask for them."""
        if name is None or name not in self._files:
            _refuse(answer, _NOT_FOUND, "this is not described here; list_services has what is")
            return
        answer.file_descriptor_response.file_descriptor_proto.extend(self._files[name])


def _service(version: str) -> str:
    return f"grpc.reflection.{version}.ServerReflection"


def _refuse(answer: Any, code: int, text: str) -> None:
    answer.error_response.error_code = code
    answer.error_response.error_message = text


def _file_with(symbol: str) -> str | None:
    """The file that describes `symbol`, None if none does; a method or a field is found by its service or message."""
    for wanted in (symbol, symbol.rpartition(".")[0]):
        for pool in _POOLS:
            try:
                name: str = pool.FindFileContainingSymbol(wanted).name
            except KeyError:
                continue
            if name:
                return name
    return None


def _described() -> Mapping[str, list[bytes]]:
    """By name of each file of the services here: the file itself, then all files that it imports."""
    found: dict[str, list[bytes]] = {}

    def walk(file: Any, into: dict[str, bytes]) -> dict[str, bytes]:
        if file.name not in into:
            proto = FileDescriptorProto()
            file.CopyToProto(proto)
            into[file.name] = proto.SerializeToString()
            for other in file.dependencies:
                walk(other, into)
        return into

    services = [INFERENCE, HEALTH, *(POOL.FindServiceByName(_service(version)) for version in REFLECTION_VERSIONS)]
    waiting = [service.file for service in services]
    while waiting:
        file = waiting.pop()
        if file.name not in found:
            found[file.name] = [*walk(file, {}).values()]
            waiting.extend(file.dependencies)
    return found
