"""The stock clients of the Open Inference Protocol, behind one small interface.

What lives here: tritonclient's four clients and the ways in which they can send tensors. What does not: what they must
be answered (`tests/end_to_end/test_clients.py`).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, Protocol

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from google.protobuf.json_format import MessageToDict
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

Array = NDArray[Any]

HTTP: Final = (tritonclient.http, tritonclient.http.aio)


@dataclass(frozen=True)
class Way:
    """A client, whether it writes tensors as binary (gRPC always does), and how it compresses them."""

    module: ModuleType
    binary: bool = True
    compression: str | None = None

    @property
    def over_http(self) -> bool:
        return self.module in HTTP

    def __str__(self) -> str:
        name = self.module.__name__.removeprefix("tritonclient.")
        form = "binary" if self.binary else "json"
        return "-".join(filter(None, (name, form if self.over_http else None, self.compression)))


WAYS: Final = (
    Way(tritonclient.http),
    Way(tritonclient.http, binary=False),
    Way(tritonclient.http, compression="gzip"),
    Way(tritonclient.http, compression="deflate"),
    Way(tritonclient.http, binary=False, compression="gzip"),
    Way(tritonclient.http.aio),
    Way(tritonclient.http.aio, binary=False, compression="deflate"),
    Way(tritonclient.grpc),
    Way(tritonclient.grpc, compression="gzip"),
    Way(tritonclient.grpc.aio),
)


@dataclass(frozen=True)
class Answer:
    """An inference answer; `outputs` in the order in which it names them."""

    model: str
    version: str
    id: str | None
    outputs: dict[str, Array]

    @property
    def labels(self) -> list[str]:
        """The best label of each image."""
        return [row[0] for row in self.outputs["classes"].tolist()]


class Client:
    """One of the clients, connected to a service."""

    def __init__(self, way: Way, address: str, **options: Any) -> None:
        self.way = way
        self._runner = asyncio.Runner()
        self._client = self._await(self._connect(address, options))

    async def _connect(self, address: str, options: Mapping[str, Any]) -> Any:
        return self.way.module.InferenceServerClient(address, **options)  # those of asyncio want a running loop

    def _await(self, made: Any) -> Any:
        return self._runner.run(made) if inspect.iscoroutine(made) else made

    def close(self) -> None:
        self._await(self._client.close())
        self._runner.close()

    def ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call `method` of the client; an answer that describes something becomes JSON-like, its numbers numbers."""
        answer = self._await(getattr(self._client, method)(*arguments, **named))
        if hasattr(answer, "DESCRIPTOR"):
            answer = MessageToDict(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        return _with_numbers(answer)

    def refusal(self, method: str, *arguments: Any, **named: Any) -> tuple[str, str]:
        """Status and message of the error that `method`, one of the client's or `infer`, is answered with."""
        try:
            answer = self.infer(*arguments, **named) if method == "infer" else self.ask(method, *arguments, **named)
        except InferenceServerException as error:
            return str(error.status()).removeprefix("StatusCode."), error.message()
        raise AssertionError(f"{method} was answered: {answer}")

    def config(self, model: str) -> Any:
        described = self.ask("get_model_config", model)
        return described if self.way.over_http else described["config"]

    def index(self) -> list[Any]:
        described: Any = self.ask("get_model_repository_index")
        return list(described if self.way.over_http else described["models"])

    def infer(
        self,
        model: str,
        images: Array,
        *,
        name: str = "image",
        outputs: Sequence[str] | None = None,
        class_count: int = 0,
        **named: Any,
    ) -> Answer:
        """Infer for `images` [N, H, W, 3]."""
        module, http = self.way.module, self.way.over_http
        tensor = module.InferInput(name, list(images.shape), np_to_triton_dtype(images.dtype))
        tensor.set_data_from_numpy(images, *([self.way.binary] if http else []))
        form = {"binary_data": self.way.binary} if http else {}
        if outputs is None and not self.way.binary:  # otherwise it asks for all in binary
            outputs = ("classes", "probabilities", "indices")
        asked = (
            None
            if outputs is None
            else [module.InferRequestedOutput(output, class_count=class_count, **form) for output in outputs]
        )
        result = self._await(self._client.infer(model, [tensor], outputs=asked, **self._compression(), **named))
        response = result.get_response()
        if not isinstance(response, dict):
            response = MessageToDict(response, preserving_proto_field_name=True)
        return Answer(
            response["model_name"],
            response["model_version"],
            response.get("id"),
            {output["name"]: _with_text(result.as_numpy(output["name"])) for output in response["outputs"]},
        )

    def _compression(self) -> dict[str, str]:
        algorithm = self.way.compression
        if algorithm is None:
            return {}
        if not self.way.over_http:
            return {"compression_algorithm": algorithm}
        return {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}


class Listening(Protocol):
    """A server on this machine."""

    @property
    def port(self) -> int: ...

    @property
    def grpc_port(self) -> int: ...


@contextmanager
def connected(way: Way, server: Listening, **options: Any) -> Iterator[Client]:
    """`server`, asked in this way."""
    port = server.port if way.over_http else server.grpc_port
    client = Client(way, f"127.0.0.1:{port}", **options)
    try:
        yield client
    finally:
        client.close()


def _with_text(values: Array) -> Array:
    """BYTES as text: from JSON they come so, in binary they do not."""
    if values.dtype != np.object_:
        return values
    flat = [value.decode() if isinstance(value, bytes) else value for value in values.flat]
    return np.array(flat, np.object_).reshape(values.shape)


def _with_numbers(described: Any) -> Any:
    """`described` with numbers for strings of digits, as which protobuf's JSON has 64-bit ones."""
    if isinstance(described, dict):
        return {key: _with_numbers(value) for key, value in described.items()}
    if isinstance(described, list):
        return [_with_numbers(value) for value in described]
    return int(described) if isinstance(described, str) and described.lstrip("-").isdigit() else described
