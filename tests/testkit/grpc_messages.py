"""`ModelInferRequest` for tests: made from what it should mean, and read by protobuf and the protocol's text.

What lives here: strategies for legal messages and for messages gone wrong, and a reader that shares no code with the
service. What does not: what a service does with them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import DecodeError
from hypothesis import strategies as st
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb

from tests.testkit.oip_bodies import INT63, MAX_ID_CHARACTERS, Input, Meaning, Nonsense

MODEL: Final = "tiny"
FIELDS: Final = ("model_name", "model_version", "id", "parameters", "inputs", "outputs", "raw_input_contents")
CONTENTS: Final = [field.name for field in pb.InferTensorContents.DESCRIPTOR.fields]

values: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.booleans().map(lambda value: {"bool_param": value}),
    st.integers(-INT63, INT63).map(lambda value: {"int64_param": value}),
    st.text(max_size=5).map(lambda value: {"string_param": value}),
    st.floats().map(lambda value: {"double_param": value}),
    st.integers(0, 2 * INT63).map(lambda value: {"uint64_param": value}),
)
custom_parameters = st.dictionaries(st.text(max_size=8).map("x".__add__), values, max_size=2)


def image_message(pixels: NDArray[Any], **more: Any) -> Any:
    """The plainest request for `pixels` [N, H, W, 3]; `more` are other fields of it."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": pixels.shape}
    return pb.ModelInferRequest(
        **{"model_name": MODEL, "inputs": [tensor], "raw_input_contents": [pixels.tobytes()]} | more
    )


def in_parts(message: Any, order: list[str] | None = None) -> bytes:
    """`message` as bytes, its fields in this order: any is legal."""
    parts = {}
    for name in FIELDS:
        part = pb.ModelInferRequest()
        part.CopyFrom(message)
        for other in FIELDS:
            if other != name:
                part.ClearField(other)
        parts[name] = part.SerializeToString()
    return b"".join(parts[name] for name in order or FIELDS)


@st.composite
def requests(draw: st.DrawFn, taken: Input) -> tuple[Any, Meaning]:
    """A legal request for a model that takes `taken`, and what it means."""
    count = draw(st.integers(1, min(3, taken.max_batch_size)))
    height, width = (size if size >= 0 else draw(st.integers(1, 4)) for size in taken.shape[1:3])
    shape = (count, height, width, 3)
    pixels = draw(st.binary(min_size=math.prod(shape), max_size=math.prod(shape)))
    request = pb.ModelInferRequest(model_name=MODEL, id=draw(st.text(max_size=12)))
    tensor = request.inputs.add(name=taken.name, datatype="UINT8", shape=shape)
    _set(tensor.parameters, draw(custom_parameters))
    if draw(st.booleans()):
        request.raw_input_contents.append(pixels)
    else:
        tensor.contents.uint_contents.extend(pixels)
    names = draw(st.lists(st.sampled_from(taken.outputs)))
    for name in names:
        _set(request.outputs.add(name=name).parameters, draw(custom_parameters))
    _set(request.parameters, draw(custom_parameters))
    timeout, priority = draw(st.integers(0, INT63)), draw(st.integers(0, (1 << 64) - 1))
    if draw(st.booleans()):
        request.parameters["timeout"].int64_param = timeout
        request.parameters["priority"].uint64_param = priority
    else:
        timeout = priority = 0
    asked = tuple((name, True) for name in taken.outputs if name in names or not names)
    return request, Meaning(request.id or None, shape, pixels, asked, timeout, priority)


def _set(parameters: Any, given: Mapping[str, Mapping[str, Any]]) -> None:
    for name, value in given.items():
        parameters[name].CopyFrom(pb.InferParameter(**value))


@st.composite
def mutants(draw: st.DrawFn, taken: Input) -> bytes:
    """A legal request with something changed: a field's value, bytes of the message, or where it ends."""
    request, _ = draw(requests(taken))
    kind = draw(st.sampled_from(["field", "field", "field", "bytes", "cut", "more", "order"]))
    if kind == "field":
        draw(st.sampled_from(CHANGES))(request, draw)
    message = in_parts(request, draw(st.permutations(FIELDS)) if kind == "order" else None)
    if kind == "bytes":
        edited = bytearray(message)
        for _ in range(draw(st.integers(1, 3))):
            edited[draw(st.integers(0, len(edited) - 1))] = draw(st.integers(0, 255))
        message = bytes(edited)
    if kind == "cut":
        message = message[: draw(st.integers(0, len(message)))]
    if kind == "more":
        message += draw(st.binary(min_size=1, max_size=20) | st.just(message))
    return message


sizes = st.integers(0, 5) | st.sampled_from([-1, INT63, 1 << 31, 1 << 32, -INT63 - 1])


def _change_shape(request: Any, draw: st.DrawFn) -> None:
    request.inputs[0].shape[:] = draw(st.lists(sizes, max_size=20))


def _change_one_size(request: Any, draw: st.DrawFn) -> None:
    request.inputs[0].shape[draw(st.integers(0, 3))] = draw(sizes)


def _change_names(request: Any, draw: st.DrawFn) -> None:
    tensor = request.inputs[0]
    field = draw(st.sampled_from(["name", "datatype"]))
    setattr(tensor, field, draw(st.sampled_from(["", "image", "pixels", "uint8", "FP32", "x" * 5000])))


def _change_output(request: Any, draw: st.DrawFn) -> None:
    output = request.outputs.add(name=draw(st.sampled_from(["classes", "colours", ""])))
    name = draw(st.sampled_from(["classification", "shared_memory_region", "binary_data", "x"]))
    _set(output.parameters, {name: draw(values | st.just({}))})


def _change_parameter(request: Any, draw: st.DrawFn) -> None:
    owner = draw(st.sampled_from([request, request.inputs[0]]))
    name = draw(st.sampled_from(["timeout", "priority", "triton_x", "shared_memory_region", "x"]))
    _set(owner.parameters, {name: draw(values | st.just({}))})


def _change_id(request: Any, draw: st.DrawFn) -> None:
    request.id = draw(st.sampled_from(["x", "ä"])) * draw(st.integers(MAX_ID_CHARACTERS - 1, MAX_ID_CHARACTERS + 1))


def _change_contents(request: Any, draw: st.DrawFn) -> None:
    contents = request.inputs[0].contents
    name = draw(st.sampled_from(CONTENTS))
    element = {"bytes_contents": b"\1", "bool_contents": True}.get(name, draw(st.sampled_from([0, 255, 256])))
    getattr(contents, name).extend([element] * draw(st.integers(0, 3)))


def _change_raw(request: Any, draw: st.DrawFn) -> None:
    if draw(st.booleans()):
        request.raw_input_contents.append(draw(st.binary(max_size=40)))
    else:
        del request.raw_input_contents[:]


def _change_inputs(request: Any, draw: st.DrawFn) -> None:
    if draw(st.booleans()):
        request.inputs.append(request.inputs[0])
    else:
        del request.inputs[:]


CHANGES: Final = (
    *(_change_shape, _change_one_size, _change_names, _change_output, _change_parameter),
    *(_change_id, _change_contents, _change_raw, _change_inputs),
)


# Reading, by the text of the protocol.


def _said(condition: bool) -> None:
    if not condition:
        raise Nonsense


def meaning_of(message: bytes, taken: Input) -> Meaning:
    """What `message` asks, by the protocol's text; raises `Nonsense` if nothing."""
    try:
        request = pb.ModelInferRequest.FromString(message)
    except DecodeError as error:
        raise Nonsense from error
    _said(len(request.inputs) == 1 and len(request.id) <= MAX_ID_CHARACTERS)
    tensor = request.inputs[0]
    _said(tensor.name == taken.name and tensor.datatype == "UINT8" and len(tensor.shape) == 4)
    count, height, width, channels = tensor.shape
    _said(1 <= count <= taken.max_batch_size and height >= 1 and width >= 1 and channels == 3)
    _said(all(fixed in (-1, size) for fixed, size in zip(taken.shape[1:], tensor.shape[1:], strict=True)))
    _said("shared_memory_region" not in _parameters(tensor.parameters))
    raw = request.raw_input_contents
    _said(tensor.HasField("contents") != bool(raw) and len(raw) <= 1)
    if raw:
        pixels = raw[0]
    else:
        _said({field.name for field, _ in tensor.contents.ListFields()} == {"uint_contents"})
        _said(max(tensor.contents.uint_contents) <= 255)
        pixels = bytes(tensor.contents.uint_contents)
    _said(len(pixels) == count * height * width * channels)
    names = set()
    for output in request.outputs:
        own = _parameters(output.parameters)
        _said(output.name in taken.outputs and not {"classification", "shared_memory_region"} & set(own))
        _said(isinstance(own.get("binary_data", True), bool))
        names.add(output.name)
    parameters = _parameters(request.parameters)
    _said(not any(name.startswith("triton_") for name in parameters))
    return Meaning(
        request.id or None,
        (count, height, width, channels),
        pixels,
        tuple((name, True) for name in taken.outputs if name in names or not names),
        _number(parameters.get("timeout", 0), INT63),
        _number(parameters.get("priority", 0), (1 << 64) - 1),
    )


def _parameters(given: Any) -> dict[str, Any]:
    found = {name: {field.name: value for field, value in parameter.ListFields()} for name, parameter in given.items()}
    for name, parameter in given.items():
        choice = parameter.WhichOneof("parameter_choice")
        _said(choice is not None)
        found[name] = getattr(parameter, choice)
    return found


def _number(value: Any, most: int) -> int:
    _said(type(value) is int and 0 <= value <= most)
    number: int = value
    return number
