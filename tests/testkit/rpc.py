"""RPCs by gRPC itself, for what tritonclient hides: statuses with their metadata, messages that it would not send."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import grpc
from tritonclient.grpc import service_pb2 as pb

from tests.testkit.serving_process import ServingProcess

SERVICE: Final = "/inference.GRPCInferenceService/"
_SECONDS: Final = 60.0
"""For whatever is waited for; far above what anything takes, so that only a hang reaches it."""


@dataclass(frozen=True)
class Reply:
    """How an RPC ended; `message` is empty unless it was answered."""

    status: str
    text: str
    metadata: dict[str, str]
    message: bytes = b""

    def assert_error(self, status: str, code: str) -> str:
        """Assert that this is the error `code`, as all errors are told; its text."""
        assert (self.status, self.metadata.get("code")) == (status, code), self
        assert self.text
        return self.text

    def read(self, kind: Any) -> Any:
        """The message, of an RPC that was answered."""
        assert self.status == "OK", self
        return kind.FromString(self.message)


def reply_of(call: Any) -> Reply:
    """How `call` ended, once it has; nothing is read of its answer."""
    return Reply(call.code().name, call.details(), _metadata(call.trailing_metadata()))


def _metadata(given: Any) -> dict[str, str]:
    return {name: str(value) for name, value in given or ()}


class Channel:
    """A connection of its own."""

    def __init__(self, address: str, *, credentials: Any = None, **options: int) -> None:
        own = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_send_message_length", -1),
            *((f"grpc.{name}", value) for name, value in options.items()),
        ]
        self._channel = (
            grpc.insecure_channel(address, own)
            if credentials is None
            else grpc.secure_channel(address, credentials, own)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def ask(self, method: str, message: Any = b"", *, seconds: float = _SECONDS, **named: Any) -> Reply:
        """One RPC and how it ended; `message` may be bytes that are none."""
        try:
            answer, call = self._unary(method).with_call(_bytes(message), timeout=seconds, **named)
        except grpc.RpcError as error:
            return reply_of(error)
        return Reply(call.code().name, call.details(), _metadata(call.trailing_metadata()), answer)

    def infer(self, message: Any, **named: Any) -> Reply:
        """One `ModelInfer`."""
        return self.ask("ModelInfer", message, **named)

    def begin(self, method: str, message: Any) -> Any:
        """An RPC that goes on while the test does: a future."""
        return self._unary(method).future(_bytes(message), timeout=_SECONDS)

    @contextmanager
    def held(self, method: str = "ModelInfer") -> Iterator[Any]:
        """An RPC whose message does not come until the end of the `with` block, and then not at all."""
        over = threading.Event()

        def no_message() -> Iterator[bytes]:
            over.wait(_SECONDS)
            yield from ()

        call = self._channel.stream_unary(_path(method)).future(no_message(), timeout=_SECONDS)
        try:
            yield call
        finally:
            call.cancel()
            over.set()

    def stream(self, method: str, messages: list[bytes]) -> Reply:
        """An RPC of so many messages, which may be none."""
        try:
            answer, call = self._channel.stream_unary(_path(method)).with_call(iter(messages), timeout=_SECONDS)
        except grpc.RpcError as error:
            return reply_of(error)
        return Reply(call.code().name, call.details(), _metadata(call.trailing_metadata()), answer)

    def unary_stream(self, path: str) -> Any:
        """The library's own way to ask for a stream of messages by an RPC's whole path."""
        return self._channel.unary_stream(path)

    def stream_stream(self, path: str) -> Any:
        """Likewise, with a stream of messages."""
        return self._channel.stream_stream(path)

    def _unary(self, method: str) -> Any:
        return self._channel.unary_unary(_path(method))


def _path(method: str) -> str:
    """A whole path as it is, the name of an RPC as one of Triton's service."""
    return method if method.startswith("/") else SERVICE + method


def channel_to(service: ServingProcess, **options: int) -> Channel:
    """A connection to `service`."""
    return Channel(service.grpc_address, **options)


def answer_of(reply: Reply) -> Any:
    """What `ModelInfer` was answered."""
    return reply.read(pb.ModelInferResponse)


def _bytes(message: Any) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()
