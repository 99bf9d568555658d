"""Writes a batch as a `ModelInferRequest`, and reads the rows of a `ModelInferResponse`. `channel` sends them.

The tensors are copied once, into the serialized message; protobuf's own way would copy them three times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb

from topfive.backends.base import Row, Tensor
from topfive.backends.rows import rows_of
from topfive.ground.errors import BackendFailure
from topfive.ground.types import WIRE_DTYPES, TensorSpec

_RAW_INPUT_CONTENTS: Final = b"\x3a"
"""The protobuf tag of field 7, `raw_input_contents`, length-delimited."""
_LENGTH_BYTES: Final = 4
_MOST_DESCRIBED: Final = 8
"""How many outputs an error names; an answer may have any number."""


class Messages:
    """The messages of one version of a model with one input."""

    def __init__(self, *, model: str, version: int, image: TensorSpec, outputs: Sequence[TensorSpec]) -> None:
        self._model = model
        self._version = str(version)
        self._image = image
        self._outputs = outputs
        self._heads: dict[tuple[int, ...], bytes] = {}

    def request(self, tensors: Sequence[Tensor]) -> bytes:
        """A serialized request with the pixels of `tensors`, which have one shape."""
        shape = (len(tensors), *tensors[0].shape)
        head = self._heads.get(shape)
        if head is None:
            head = self._request(shape).SerializeToString()
            if -1 not in self._image.shape[1:]:  # kept only for fixed sizes: then at most max_batch_size heads are kept
                self._heads[shape] = head
        tensors = [np.ascontiguousarray(tensor) for tensor in tensors]  # no copy if it is contiguous already
        size = sum(tensor.nbytes for tensor in tensors)
        return b"".join([head, _RAW_INPUT_CONTENTS, _varint(size), *tensors])  # type: ignore[list-item]  # buffers all

    def rows(self, answer: Any, count: int) -> list[Row]:
        """The outputs of each of `count` images in `answer`; raises `BackendFailure` if one is missing."""
        pairs = zip(answer.outputs, answer.raw_output_contents, strict=False)  # without contents: missing
        found = {output.name: (output, raw) for output, raw in pairs}
        columns = []
        for spec in self._outputs:
            output, raw = found.get(spec.name, (None, b""))
            shape = [count, *spec.shape[1:]]
            if output is None or output.datatype != spec.datatype or list(output.shape) != shape:
                raise BackendFailure(
                    f"Triton answered with {_described(answer)}, but '{spec.name}' of model '{self._model}' must be "
                    f"{spec.datatype} {shape}"
                )
            try:
                columns.append(_values(raw, spec.datatype, math.prod(shape)).reshape(shape))
            except ValueError as error:
                raise BackendFailure(f"Triton answered a tensor '{spec.name}' that is not {shape}: {error}") from error
        return rows_of([spec.name for spec in self._outputs], columns)

    def _request(self, shape: tuple[int, ...]) -> Any:
        request = pb.ModelInferRequest(model_name=self._model, model_version=self._version)
        request.inputs.add(name=self._image.name, datatype=self._image.datatype, shape=shape)
        for spec in self._outputs:
            request.outputs.add(name=spec.name)
        return request


def _values(raw: bytes, datatype: str, count: int) -> NDArray[Any]:
    if datatype == "BYTES":
        return np.array(_texts(raw, count), dtype=object)
    return np.frombuffer(raw, WIRE_DTYPES[datatype])


def _texts(raw: bytes, count: int) -> list[str]:
    """The elements of a BYTES tensor (each a little-endian uint32 length and its bytes); stops soon after `count`."""
    texts: list[str] = []
    at = 0
    while at < len(raw) and len(texts) <= count:
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(raw[at:begin], "little")
        if at > len(raw):
            raise ValueError(f"a string ends at byte {at} of {len(raw)}")
        texts.append(raw[begin:at].decode())
    return texts


def _described(answer: Any) -> str:
    some = answer.outputs[:_MOST_DESCRIBED]
    found = [f"'{output.name[:100]}' {output.datatype[:20]} {list(output.shape[:8])}" for output in some]
    more = ["more"] if len(answer.outputs) > _MOST_DESCRIBED else []
    return ", ".join(found + more) or "no outputs"


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
