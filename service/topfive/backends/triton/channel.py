"""The gRPC channel to Triton, or to several of the same models: its calls, and what their failures mean.

Tensors are in `messages`; `comparison` says what a model should be.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, Final

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2 as pb

from topfive.backends.triton.comparison import config_differences, metadata_differences
from topfive.ground.errors import BackendFailure, BackendUnreachable, DeadlineExceeded, QueueFull, TopfiveError
from topfive.repository.model_config import ModelConfig

logger = logging.getLogger("topfive")

_SERVICE: Final = "/inference.GRPCInferenceService/"
_OPTIONS: Final = [
    ("grpc.max_send_message_length", -1),  # a batch of pixels may have any size
    ("grpc.max_receive_message_length", 64 << 20),  # answers are labels and numbers, not pixels
    # A Triton that comes back is found within a second; by default gRPC would wait up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Not shared with other channels of this process to the same address: they would share its flow control.
    ("grpc.use_local_subchannel_pool", 1),
]
_TOKENS: Final = 100
_SEVERAL: Final = ("dns:///", "ipv4:")
"""How an address begins that may name several Tritons; `host:port` is one."""
_SHARE: Final = [
    # They take turns. One that cannot be reached is left out, and what it had, or refused, goes to another: a
    # classification changes nothing.
    (
        "grpc.service_config",
        json.dumps(
            {
                "loadBalancingConfig": [{"round_robin": {}}],
                # Each failure takes a token and each answer brings a tenth of one; below half of them nothing is sent
                # again. So a Triton that dies costs nothing, and Tritons that all refuse get a tenth more, not thrice.
                "retryThrottling": {"maxTokens": _TOKENS, "tokenRatio": 0.1},
                "methodConfig": [
                    {
                        "name": [{"service": "inference.GRPCInferenceService"}],
                        "retryPolicy": {
                            "maxAttempts": 3,
                            "initialBackoff": "0.01s",
                            "maxBackoff": "0.1s",
                            "backoffMultiplier": 2,
                            "retryableStatusCodes": ["UNAVAILABLE"],
                        },
                    }
                ],
            }
        ),
    ),
    ("grpc.per_rpc_retry_buffer_size", 64 << 20),  # a message that is longer is sent once
]
_RETRY_SECONDS: Final = 1.0

# Triton's texts tell these cases apart: it has one status, UNAVAILABLE, for them and for all other passing faults.
_QUEUE_FULL: Final = "maximum queue size"
_QUEUE_TIMEOUT: Final = "timeout expired"
_MOST_DETAILS: Final = 500
"""How many characters of Triton's error text are passed on to clients and to the log."""


class Channel:
    """A channel to the Triton at `url` (`host:port`), or to those at `dns:///name:port`.

    Made and used on one event loop. `timeout_seconds`: how long Triton may take to answer a question about itself.
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self.url = url
        self._timeout_seconds = timeout_seconds
        self._channel = grpc.aio.insecure_channel(url, options=_OPTIONS + (_SHARE if url.startswith(_SEVERAL) else []))
        self._infer = self._channel.unary_unary(
            _SERVICE + "ModelInfer", response_deserializer=pb.ModelInferResponse.FromString
        )

    async def infer(self, message: bytes, timeout_seconds: float | None) -> Any:
        """The `ModelInferResponse` to a serialized `ModelInferRequest`.

        Raises `BackendUnreachable`, `QueueFull`, `DeadlineExceeded`, `TimeoutError` when the time is up, or
        `BackendFailure` for a failure of this batch.
        """
        try:
            answer = await self._infer(message, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            # The error holds Triton's text, cut short. With its cause the log would show the whole text.
            raise self._failure(error) from None
        if answer is None:  # grpc.aio returns None for an answer that cannot be parsed
            raise BackendFailure(f"the answer of Triton at {self.url} to a batch cannot be read")
        return answer

    async def wait_until_ready(self) -> None:
        """Return when Triton says that it is ready; logs the reason for waiting."""
        said = None
        while True:
            try:
                if (await self.ask("ServerReady", pb.ServerReadyRequest(), pb.ServerReadyResponse)).ready:
                    logger.info("Triton at %s is ready; each batch size is measured there next", self.url)
                    return
                why = f"Triton at {self.url} is not ready"
            except BackendUnreachable as error:
                why = str(error)
            if why != said:
                logger.warning("waiting for Triton: %s", why)
                said = why
            await asyncio.sleep(_RETRY_SECONDS)

    async def differences(self, config: ModelConfig, version: int) -> list[str]:
        """How Triton's `version` of the model differs from `config`, in words; raises `BackendUnreachable`."""
        of = {"name": config.name, "version": str(version)}
        ready, metadata, theirs = await asyncio.gather(
            self._ask_of_model("ModelReady", pb.ModelReadyRequest(**of), pb.ModelReadyResponse),
            self._ask_of_model("ModelMetadata", pb.ModelMetadataRequest(**of), pb.ModelMetadataResponse),
            self._ask_of_model("ModelConfig", pb.ModelConfigRequest(**of), pb.ModelConfigResponse),
        )
        if ready is None or not ready.ready or metadata is None or theirs is None:
            return ["it is not ready there"]
        return [
            *metadata_differences(config.inputs, config.outputs, metadata),
            *config_differences(config.message, theirs.config),
        ]

    async def instances(self, config: ModelConfig, version: int) -> int:
        """How many instances of the model Triton runs; raises `BackendUnreachable`."""
        request = pb.ModelConfigRequest(name=config.name, version=str(version))
        theirs = (await self.ask("ModelConfig", request, pb.ModelConfigResponse)).config
        count: int = sum(group.count * max(1, len(group.gpus)) for group in theirs.instance_group)
        return max(1, count)

    async def ask(self, method: str, request: Any, answer: Any) -> Any:
        """Triton's answer to a question about itself; raises `BackendUnreachable`."""
        call = self._channel.unary_unary(
            _SERVICE + method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            said = await call(request, timeout=self._timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise self._unreachable(error) from error
        if said is None:
            raise BackendUnreachable(f"the answer of Triton at {self.url} to {method} cannot be read; is it a Triton?")
        return said

    async def close(self) -> None:
        """Close the channel, and end every call on it."""
        await self._channel.close()

    async def _ask_of_model(self, method: str, request: Any, answer: Any) -> Any:
        """As `ask`; None if Triton has no such model or version."""
        try:
            return await self.ask(method, request, answer)
        except BackendUnreachable as error:
            cause = error.__cause__
            if isinstance(cause, grpc.aio.AioRpcError) and cause.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise

    def _failure(self, error: Any) -> TopfiveError | TimeoutError:
        code, details = error.code(), _details(error)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return TimeoutError(details)
        if _QUEUE_TIMEOUT in details:
            return DeadlineExceeded(f"the deadline passed at Triton: {details}")
        if _QUEUE_FULL in details:
            return QueueFull(
                "the queue of the model at Triton is full; retry later", retry_after_seconds=_RETRY_SECONDS
            )
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.NOT_FOUND):
            return self._unreachable(error)
        return BackendFailure(f"Triton at {self.url} failed on a batch: {code.name}: {details}")

    def _unreachable(self, error: Any) -> BackendUnreachable:
        details = _details(error)
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            details = f"no answer within {self._timeout_seconds:g} s"
        return BackendUnreachable(
            f"Triton at {self.url} cannot be reached, or not for this ({error.code().name}: {details}); retry shortly",
            retry_after_seconds=_RETRY_SECONDS,
        )


def _details(error: Any) -> str:
    said = error.details() or ""
    return said if len(said) <= _MOST_DETAILS else f"{said[:_MOST_DETAILS]}…"
