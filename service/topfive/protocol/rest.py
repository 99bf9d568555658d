"""The protocol over REST: a JSON object, which may be followed by the bytes of binary tensors.

What lives here: bytes to `InferRequest`, and results to bytes. What does not: HTTP (`http.infer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from topfive.backends.base import Row
from topfive.ground.errors import MalformedRequest, TooLarge
from topfive.images.decoding import ImageLimits, RawShape
from topfive.models.served import ServedModel
from topfive.protocol.parameters import (
    check_parameters,
    check_reserved,
    flag_of,
    is_count,
    priority_of,
    refuse_shared_memory,
    shown,
    timeout_of,
)
from topfive.protocol.requests import (
    InferRequest,
    RequestedOutput,
    check_input,
    check_one_input,
    check_size,
    id_of,
    requested_outputs,
)
from topfive.protocol.tensors import (
    bytes_of_numbers,
    files_of_bytes,
    files_of_strings,
    shape_of,
    to_bytes,
    to_json,
)
from topfive.request.sources import Body, EncodedImages

_MAX_CONTAINERS: Final = 3 << 16
"""The most lists and objects in one request: each takes the parser ten times as long as a number, and nothing else runs
while it parses. The pixels of an image of 500 x 375 may still be nested."""
_MAX_VALUES: Final = 1 << 20
"""The most commas between values, for the same reason: enough for the pixels of an image of 590 x 590."""

Object = dict[str, Any]


def json_length_of(header: bytes | None) -> int | None:
    """`Inference-Header-Content-Length`: the number of bytes of JSON at the start of the body; None without it.

    Raises `MalformedRequest`.
    """
    if header is None:
        return None
    # int() alone would also accept "+1", "1_0", " 1" and digits of other scripts.
    if not header.isdigit() or len(header) > 18:
        raise MalformedRequest("Inference-Header-Content-Length must be a plain decimal number of bytes")
    return int(header)


def check_json_length(json_length: int | None, body_length: int, *, most: int) -> int:
    """How many bytes of a body of `body_length` are JSON; `json_length` is what `json_length_of` returned.

    Raises `MalformedRequest` if the body is shorter than that, and `TooLarge` if it is more than `most`.
    """
    if json_length is None:
        json_length = body_length
    elif json_length > body_length:
        raise MalformedRequest(
            f"Inference-Header-Content-Length is {json_length}, but the body has only {body_length} bytes"
        )
    if json_length > most:
        raise TooLarge(
            f"the request has {json_length} bytes of JSON, and at most {most} are accepted; send pixels as a binary "
            "tensor (binary_data_size), and the length of the JSON in Inference-Header-Content-Length"
        )
    return json_length


def parse(
    body: bytes | memoryview, json_length: int | None, model: ServedModel, *, limits: ImageLimits
) -> InferRequest:
    """What `body` asks of `model`. Binary pixels are a view. Raises `MalformedRequest`, `TooLarge`, `Unsupported`.

    `json_length` is what `json_length_of` returned: None if all of the body is JSON, 0 if none of it is.
    """
    whole = memoryview(body)
    if json_length == 0:
        return _raw_request(whole, model, limits)
    text = whole if json_length is None else whole[:json_length]
    request = _object(text)
    parameters = _parameters(request, "the request")
    check_reserved(parameters)
    source, images = _images(request, text, whole[len(text) :], model, limits)
    return InferRequest(
        id=id_of(request.get("id")),
        source=source,
        body=images,
        outputs=_outputs(request, model, binary=flag_of(parameters, "binary_data_output")),
        timeout_seconds=timeout_of(parameters.get("timeout", 0)),
        priority=priority_of(parameters.get("priority", 0)),
    )


def render(
    model: ServedModel, request_id: str | None, outputs: Sequence[RequestedOutput], rows: Sequence[Row]
) -> tuple[bytes, int | None]:
    """The body of the answer, and how many bytes at its start are JSON; None if all are."""
    described: list[Object] = []
    tensors: list[bytes] = []
    for output in outputs:
        spec = output.spec
        tensor: Object = {"name": spec.name, "datatype": spec.datatype, "shape": shape_of(spec, rows)}
        if output.binary:
            data = to_bytes(spec, rows)
            tensor["parameters"] = {"binary_data_size": len(data)}
            tensors.append(data)
        else:
            tensor["data"] = to_json(spec, rows)
        described.append(tensor)
    answer: Object = {"model_name": model.name, "model_version": str(model.version), "outputs": described}
    if request_id is not None:
        answer["id"] = request_id
    text = orjson.dumps(answer)
    return (b"".join((text, *tensors)), len(text)) if tensors else (text, None)


def _raw_request(body: memoryview, model: ServedModel, limits: ImageLimits) -> InferRequest:
    """The request whose body is one image's bytes alone, to a model with a fixed image size; all outputs are binary."""
    _, height, width, _ = model.image.shape
    if -1 in (height, width):
        raise MalformedRequest(
            f"the shape of the raw input '{model.image.name}' cannot be deduced, because model '{model.name}' takes "
            "images of any size; describe it in JSON and give that JSON's length in Inference-Header-Content-Length"
        )
    shape = RawShape(height, width, 1)
    check_size(model.image.name, (1, *model.image.shape[1:]), len(body))
    shape.check(limits)
    outputs = tuple(RequestedOutput(spec, binary=True) for spec in model.config.outputs)
    return InferRequest(None, shape, body, outputs, None, 0)


def _object(text: memoryview) -> Object:
    if len(text) > _MAX_CONTAINERS:  # fewer bytes cannot open more
        written = bytes(text)
        opened = written.count(b"[") + written.count(b"{")
        if opened > _MAX_CONTAINERS:
            raise TooLarge(
                f"the request's JSON has {opened} lists and objects, and at most {_MAX_CONTAINERS} are accepted; send "
                "pixels as a binary tensor (binary_data_size), or their numbers flat"
            )
        values = written.count(b",")
        if values > _MAX_VALUES:
            raise TooLarge(
                f"the request's JSON has {values} values, and at most {_MAX_VALUES} are accepted; send pixels as a "
                "binary tensor (binary_data_size)"
            )
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(
            f"the request is not JSON: {error}; if binary tensors follow it, give the JSON's length in "
            "Inference-Header-Content-Length"
        ) from error
    if not isinstance(request, dict):
        raise MalformedRequest("the request must be a JSON object with 'inputs'")
    return request


def _images(
    request: Object, text: memoryview, tensors: memoryview, model: ServedModel, limits: ImageLimits
) -> tuple[RawShape | EncodedImages, Body]:
    """The images in the only input, pixels or image files, and their kind."""
    tensor = _only_input(request, model)
    name = model.image.name
    source = check_input(
        model, limits, name=tensor.get("name"), datatype=tensor.get("datatype"), shape=tensor.get("shape")
    )
    parameters = _parameters(tensor, f"input '{name}'")
    if "shared_memory_region" in parameters:
        refuse_shared_memory()
    has_data, has_size = "data" in tensor, "binary_data_size" in parameters
    if has_data == has_size:
        raise MalformedRequest(
            f"input '{name}' must have either 'data' or the parameter 'binary_data_size', and has "
            + ("both" if has_data else "neither")
        )
    if has_data:
        if len(tensors):
            raise MalformedRequest(f"{len(tensors)} bytes follow the JSON, but no input says that it is binary")
        return source, _written(tensor["data"], text, source, name)
    size = parameters["binary_data_size"]
    if not is_count(size):
        raise MalformedRequest(
            f"'binary_data_size' of input '{name}' must be a whole number of bytes, not {shown(size)}"
        )
    if isinstance(source, RawShape):
        check_size(name, tensor["shape"], size)
    if size != len(tensors):
        raise MalformedRequest(
            f"input '{name}' announces {size} bytes of binary data, but {len(tensors)} follow the JSON; send exactly "
            "these, and give the JSON's length in Inference-Header-Content-Length"
        )
    if isinstance(source, RawShape):
        return source, tensors
    return source, files_of_bytes(tensors, name=name, count=len(source.names))


def _written(data: Any, text: memoryview, source: RawShape | EncodedImages, name: str) -> Body:
    if isinstance(source, EncodedImages):
        return files_of_strings(data, name=name, count=len(source.names))
    written = bytes(text)
    booleans = b"true" in written or b"false" in written
    return bytes_of_numbers(data, name=name, expected=source.nbytes, has_booleans=booleans)


def _only_input(request: Object, model: ServedModel) -> Object:
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(tensor, dict) for tensor in inputs):
        raise MalformedRequest("'inputs' must be a list of objects with name, datatype, shape and data")
    check_one_input(model, [tensor.get("name") for tensor in inputs])
    only: Object = inputs[0]
    return only


def _outputs(request: Object, model: ServedModel, *, binary: bool) -> tuple[RequestedOutput, ...]:
    asked = request.get("outputs")
    if asked is None:
        asked = []
    if not isinstance(asked, list) or not all(isinstance(output, dict) for output in asked):
        raise MalformedRequest("'outputs' must be a list of objects with a name")
    named = ((output.get("name"), _parameters(output, "an output")) for output in asked)
    return requested_outputs(model, named, binary=binary)


def _parameters(owner: Object, where: str) -> Object:
    parameters = owner.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise MalformedRequest(f"the parameters of {where} must be an object")
    check_parameters(parameters, where)
    return parameters
