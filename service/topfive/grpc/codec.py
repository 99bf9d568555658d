"""Turns a `ModelInferRequest` into an `InferRequest`, and results into a `ModelInferResponse`.

What lives here: messages. What does not: the RPC (`grpc.infer`), and the checks that REST makes too
(`protocol.requests`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from tritonclient.grpc import service_pb2 as pb

from topfive.backends.base import Row
from topfive.ground.errors import MalformedRequest, TooLarge
from topfive.images.decoding import ImageLimits, RawShape
from topfive.models.served import ServedModel
from topfive.protocol.parameters import (
    check_parameters,
    check_reserved,
    priority_of,
    refuse_shared_memory,
    timeout_of,
)
from topfive.protocol.requests import (
    FILES,
    InferRequest,
    RequestedOutput,
    check_input,
    check_one_input,
    check_size,
    id_of,
    requested_outputs,
)
from topfive.protocol.tensors import check_files, files_of_bytes, none_empty, shape_of, to_bytes
from topfive.request.sources import Body, EncodedImages

_CONTENTS: Final = {"UINT8": "uint_contents", FILES: "bytes_contents"}
"""By datatype, the field of typed contents that holds the data."""
_MAX_RANK: Final = 16
"""The most dimensions of a shape that are read."""


def read_message(kind: Any, data: bytes) -> Any:
    """`data` as a message of `kind`; raises `MalformedRequest`."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise MalformedRequest(f"the message is not a {kind.DESCRIPTOR.name}: {error}") from error


def read_infer(rest: bytes, *, max_bytes: int) -> Any:
    """The `ModelInferRequest` in `rest`, which has no raw tensors; raises `MalformedRequest` or `TooLarge`."""
    if len(rest) > max_bytes:
        raise TooLarge(
            f"the request has {len(rest)} bytes beside its raw tensors; at most {max_bytes} are accepted: send pixels "
            "in raw_input_contents"
        )
    return read_message(pb.ModelInferRequest, rest)


def parse(request: Any, tensors: Sequence[memoryview], model: ServedModel, *, limits: ImageLimits) -> InferRequest:
    """What `request`, with its raw `tensors`, asks of `model`. Raises `MalformedRequest`, `TooLarge`, `Unsupported`."""
    parameters = _parameters(request.parameters, "the request")
    check_reserved(parameters)
    source, images = _images(request, tensors, model, limits)
    asked = ((output.name, _parameters(output.parameters, "an output")) for output in request.outputs)
    return InferRequest(
        id=id_of(request.id or None),
        source=source,
        body=images,
        outputs=requested_outputs(model, asked, binary=True),
        timeout_seconds=timeout_of(parameters.get("timeout", 0)),
        priority=priority_of(parameters.get("priority", 0)),
    )


def render(
    model: ServedModel, request_id: str | None, outputs: Sequence[RequestedOutput], rows: Sequence[Row]
) -> bytes:
    """The answer as a message's bytes; all its tensors are raw."""
    answer = pb.ModelInferResponse(model_name=model.name, model_version=str(model.version), id=request_id or "")
    for output in outputs:
        spec = output.spec
        answer.outputs.add(name=spec.name, datatype=spec.datatype, shape=shape_of(spec, rows))
        answer.raw_output_contents.append(to_bytes(spec, rows))
    data: bytes = answer.SerializeToString()
    return data


def _parameters(given: Any, where: str) -> Mapping[str, Any]:
    """The values of a map of `InferParameter`, checked."""
    if not given:
        return {}
    parameters = parameter_values(given)
    check_parameters(parameters, where)
    return parameters


def parameter_values(given: Any) -> dict[str, Any]:
    """The values of a map of parameters, as Python values; None for a parameter without a value."""
    return {name: _value(parameter) for name, parameter in given.items()}


def _value(parameter: Message) -> Any:
    choice = parameter.WhichOneof("parameter_choice")
    return None if choice is None else getattr(parameter, choice)


def _images(
    request: Any, tensors: Sequence[memoryview], model: ServedModel, limits: ImageLimits
) -> tuple[RawShape | EncodedImages, Body]:
    """The images in the only input, pixels or image files, and their kind."""
    inputs = request.inputs
    check_one_input(model, [tensor.name for tensor in inputs])
    tensor = inputs[0]
    sizes = list(tensor.shape[:_MAX_RANK])
    source = check_input(model, limits, name=tensor.name, datatype=tensor.datatype, shape=sizes)
    name = model.image.name
    if "shared_memory_region" in _parameters(tensor.parameters, f"input '{name}'"):
        refuse_shared_memory()
    typed = tensor.HasField("contents")
    if typed == bool(tensors):
        raise MalformedRequest(
            f"input '{name}' must be either in 'raw_input_contents' or in its 'contents', and is in "
            + ("both" if typed else "neither")
        )
    if typed:
        _check_contents(tensor.contents, name, tensor.datatype)
        if isinstance(source, RawShape):
            return source, _typed_pixels(tensor.contents, name, source)
        check_files(len(tensor.contents.bytes_contents), name=name, count=len(source.names))
        return source, none_empty(list(tensor.contents.bytes_contents), name)
    if len(tensors) != 1:
        raise MalformedRequest(f"'raw_input_contents' must have one entry for each input, so 1, and has {len(tensors)}")
    if isinstance(source, RawShape):
        check_size(name, sizes, len(tensors[0]))
        return source, tensors[0]
    return source, files_of_bytes(tensors[0], name=name, count=len(source.names))


def _check_contents(contents: Any, name: str, datatype: str) -> None:
    wanted = _CONTENTS[datatype]
    if others := [field.name for field, _ in contents.ListFields() if field.name != wanted]:
        raise MalformedRequest(
            f"the contents of input '{name}' are in '{others[0]}', but {datatype} goes to '{wanted}'"
        )


def _typed_pixels(contents: Any, name: str, shape: RawShape) -> bytes:
    numbers = contents.uint_contents
    if len(numbers) != shape.nbytes:
        raise MalformedRequest(
            f"the contents of input '{name}' are {len(numbers)} numbers, but its shape needs {shape.nbytes}; send one "
            "for each pixel and channel"
        )
    try:
        return bytes(numbers[:])  # a list is read faster than the container
    except ValueError as error:
        raise MalformedRequest(f"the contents of input '{name}' must be numbers from 0 to 255: {error}") from error
