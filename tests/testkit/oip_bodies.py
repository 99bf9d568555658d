"""Open Inference Protocol bodies for tests: made from what they should mean, and read by the protocol's text alone.

What lives here: a writer, strategies for every legal way to write a request, and readers that share no code with the
service. What does not: what a service does with them.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

MAX_ID_CHARACTERS: Final = 4096
MAX_DEPTH: Final = 1024
INT63: Final = (1 << 63) - 1
DTYPES: Final = {
    "BOOL": "|b1",
    "UINT8": "|u1",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
HOLE: Final = '"@hole@"'
"""Stands in JSON for text that no JSON writer would write."""


class Nonsense(Exception):  # it is not an error of the tests
    """By the protocol's text, a request means nothing."""


@dataclass(frozen=True)
class Input:
    """The one input of a model that takes images; -1 in its shape is any size."""

    name: str
    shape: tuple[int, ...]
    outputs: tuple[str, ...]
    max_batch_size: int


@dataclass(frozen=True)
class Meaning:
    """What a request asks."""

    id: str | None
    shape: tuple[int, ...]
    pixels: bytes
    outputs: tuple[tuple[str, bool], ...]
    """Name, and whether in binary; in the model's order."""
    timeout_microseconds: int
    priority: int


@dataclass(frozen=True)
class Body:
    """Bytes of a request, and its Inference-Header-Content-Length if it has one."""

    content: bytes
    json_length: int | None

    @property
    def headers(self) -> dict[str, str]:
        """For HTTP."""
        return {} if self.json_length is None else {"Inference-Header-Content-Length": str(self.json_length)}


def json_body(request: Mapping[str, Any]) -> Body:
    """A request that is all JSON."""
    return Body(json.dumps(request).encode(), None)


def binary_body(request: Mapping[str, Any], tensors: bytes, *, off_by: int = 0) -> Body:
    """A request of JSON and then `tensors`; `off_by` makes its header wrong."""
    text = json.dumps(request).encode()
    return Body(text + tensors, len(text) + off_by)


def image_input(shape: Sequence[int], *, name: str = "image", datatype: str = "UINT8", **more: Any) -> dict[str, Any]:
    """An input that says `shape`; `more` is its `data` or its `parameters`."""
    return {"name": name, "shape": list(shape), "datatype": datatype, **more}


def binary_image(pixels: NDArray[np.uint8], **more: Any) -> Body:
    """The plainest binary request for `pixels` [N, H, W, 3]; `more` stands beside its inputs."""
    tensor = image_input(pixels.shape, parameters={"binary_data_size": pixels.nbytes})
    return binary_body({"inputs": [tensor], **more}, pixels.tobytes())


def json_image(pixels: NDArray[np.uint8], **more: Any) -> Body:
    """The plainest request for `pixels` as JSON numbers, nested as its shape is."""
    return json_body({"inputs": [image_input(pixels.shape, data=pixels.tolist())], **more})


# Legal requests.


@st.composite
def _nested(draw: st.DrawFn, numbers: list[int]) -> list[Any]:
    """`numbers`, flat or in groups of groups of any lengths: the protocol reads them row by row all the same."""
    data: list[Any] = numbers
    for _ in range(draw(st.integers(0, 4))):
        cuts = draw(st.lists(st.integers(0, len(data)), max_size=4).map(sorted))
        data = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return data


numbers = st.integers(-INT63, INT63) | st.floats(allow_nan=False, allow_infinity=False)
scalars: st.SearchStrategy[Any] = st.text(max_size=5) | st.booleans() | numbers
flags: st.SearchStrategy[bool] = st.booleans()
custom_parameters = st.dictionaries(
    st.text(max_size=8).filter(lambda key: not key.startswith("triton_")).map("x".__add__), scalars, max_size=2
)


@st.composite
def _written(draw: st.DrawFn, request: Mapping[str, Any]) -> bytes:
    """JSON of `request`, its keys in any order, with or without blanks and escapes."""

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in draw(st.permutations(list(value)))}
        return [shuffled(entry) for entry in value] if isinstance(value, list) and len(value) < 9 else value

    text = json.dumps(
        shuffled(request),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, None, 1])),
        separators=draw(st.sampled_from([(",", ":"), (" , ", " : ")])),
    )
    return draw(st.sampled_from(["", " \r\n\t"])).encode() + text.encode()


@st.composite
def requests(draw: st.DrawFn, taken: Input) -> tuple[Body, Meaning]:
    """A legal request for a model that takes `taken`, and what it means."""
    count = draw(st.integers(1, min(3, taken.max_batch_size)))
    height, width = (size if size >= 0 else draw(st.integers(1, 4)) for size in taken.shape[1:3])
    shape = (count, height, width, 3)
    pixels = draw(st.binary(min_size=math.prod(shape), max_size=math.prod(shape)))
    binary = draw(st.booleans())
    tensor = image_input(shape, name=taken.name)
    parameters = draw(custom_parameters)
    if binary:
        parameters["binary_data_size"] = len(pixels)
    else:
        tensor["data"] = draw(_nested(list(pixels)))
    if bool(parameters) or draw(flags):
        tensor["parameters"] = parameters
    request: dict[str, Any] = {"inputs": [tensor], **draw(st.sampled_from([{}, {"model_name": "other", "x": [1]}]))}
    identity = draw(st.none() | st.text(max_size=12))
    if identity is not None:
        request["id"] = identity
    asked, outputs = draw(_outputs(taken))
    about = draw(custom_parameters) | asked.pop("parameters")
    timeout, priority = draw(st.integers(0, INT63)), draw(st.integers(0, (1 << 64) - 1))
    if draw(st.booleans()):
        about |= {"timeout": timeout, "priority": priority, "sequence_id": 7}
    else:
        timeout = priority = 0
    if about:
        request["parameters"] = about
    text = draw(_written(request | asked))
    length = len(text) if binary or draw(st.booleans()) else None
    meaning = Meaning(identity, shape, pixels, outputs, timeout, priority)
    return Body(text + pixels if binary else text, length), meaning


@st.composite
def _outputs(draw: st.DrawFn, taken: Input) -> tuple[dict[str, Any], tuple[tuple[str, bool], ...]]:
    """What of a request asks for outputs, and what that means; its parameters are under `parameters`."""
    default = draw(st.none() | st.booleans())
    parameters = {} if default is None else {"binary_data_output": default}
    names = draw(st.none() | st.lists(st.sampled_from(taken.outputs), unique=True))
    if names is None:
        return {"parameters": parameters}, tuple((name, bool(default)) for name in taken.outputs)
    asked, wanted = [], {}
    for name in names:
        flag = draw(st.none() | st.booleans())
        of_output = draw(custom_parameters) | ({} if flag is None else {"binary_data": flag})
        asked.append({"name": name, "parameters": of_output} if bool(of_output) or draw(flags) else {"name": name})
        wanted[name] = bool(default) if flag is None else flag
    meant = wanted or dict.fromkeys(taken.outputs, bool(default))
    return {"parameters": parameters, "outputs": asked}, tuple(
        (name, meant[name]) for name in taken.outputs if name in meant
    )


# Requests gone wrong.

ODD_TOKENS: Final = (
    *("2147483647", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808"),
    *("18446744073709551615", "18446744073709551616", "1" * 5000, "-1", "-9223372036854775809", "0", "-0", "-0.0"),
    *("1", "2", "3", "12", "255", "256", "1.0", "1.5", "1e2", "1e400", "-1e400", "1E-400", "NaN", "Infinity", "nan"),
    *("true", "false", "null", '""', '"1"', '"1_4"', '" 1"', '"\\ud800"', '"\\u0000"', '"UINT8"', '"classes"'),
    *("[]", "{}", "[[]]", "[{}]", "[1]", '[""]', "[null]", '{"name":"image"}', '{"a":1,"a":2}', "[1,2", "1_4", "+1"),
    *("[" * depth + "]" * depth for depth in (400, 1024, 20_000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (400, 1024)),
    '"' + "x" * 5000 + '"',
)
KEYS: Final = ("id", "inputs", "outputs", "parameters", "name", "shape", "datatype", "data", "binary_data_size")


def _places(node: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in `node`."""
    found = [here]
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found += _places(value, (*here, key))
    return found


def _replaced(node: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[place[0]] = _replaced(copy[place[0]], place[1:], value)
    return copy


@st.composite
def mutants(draw: st.DrawFn, taken: Input) -> Body:
    """A legal request with something changed: a value for an odd one, a key doubled or gone, bytes, or its header."""
    body, _ = draw(requests(taken))
    length = len(body.content) if body.json_length is None else body.json_length
    text, tensors = body.content[:length], body.content[length:]
    kind = draw(st.sampled_from(["value", "value", "value", "key", "twice", "bytes", "cut", "more", "header"]))
    if kind in ("value", "key", "twice"):
        request = json.loads(text)
        place = draw(st.sampled_from(_places(request)))
        if kind == "value":
            changed = json.dumps(_replaced(request, place, HOLE[1:-1])).replace(HOLE, draw(st.sampled_from(ODD_TOKENS)))
        elif kind == "twice":
            changed = json.dumps(request).replace(
                "{", f'{{"{draw(st.sampled_from(KEYS))}": {draw(st.sampled_from(ODD_TOKENS))},', draw(st.integers(1, 3))
            )
        else:
            changed = json.dumps(request).replace(
                f'"{draw(st.sampled_from(KEYS))}"', f'"{draw(st.sampled_from(KEYS))}"', draw(st.integers(1, 2))
            )
        text = changed.encode()
    elif kind == "bytes":
        edited = bytearray(text)
        for _ in range(draw(st.integers(1, 3))):
            edited[draw(st.integers(0, len(edited) - 1))] = draw(st.integers(0, 255))
        text = bytes(edited)
    content = text + tensors
    if kind == "cut":
        content = content[: draw(st.integers(0, len(content)))]
    elif kind == "more":
        content += draw(st.binary(min_size=1, max_size=20) | st.just(tensors) | st.just(text))
    stated = None if body.json_length is None else len(text)
    if kind == "header":
        stated = draw(st.none() | st.integers(0, len(content) + 2) | st.sampled_from([len(text) - 1, len(text) + 1]))
    return Body(content, stated)


# Reading, by the text of the protocol.


def _said(condition: bool) -> None:
    if not condition:
        raise Nonsense


def _number(value: Any, most: int) -> int:
    _said(type(value) is int and 0 <= value <= most)
    number: int = value
    return number


def _flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    _said(isinstance(value, bool))
    flag: bool = value
    return flag


def _parameters(owner: Mapping[str, Any]) -> dict[str, Any]:
    given = owner.get("parameters")
    if given is None:
        return {}
    _said(isinstance(given, dict) and all(isinstance(value, str | int | float) for value in given.values()))
    parameters: dict[str, Any] = given
    return parameters


def _constant(text: str) -> None:
    raise Nonsense


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Without lone surrogates, also in what a later key of the same name hides."""
    json.dumps(pairs, ensure_ascii=False).encode()
    return dict(pairs)


def _finite(text: str) -> float:
    value = float(text)
    _said(math.isfinite(value))
    return value


def _depth(text: str) -> int:
    """How many lists and objects stand inside one another in JSON."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    return max(accumulate((bracket in "[{") - (bracket in "]}") for bracket in bare), default=0)


def _flat(data: Any) -> list[Any]:
    """The leaves of lists of lists of one depth, in order."""
    _said(isinstance(data, list))
    level: list[Any] = data
    while level and isinstance(level[0], list):
        _said(all(isinstance(part, list) for part in level))
        level = [leaf for part in level for leaf in part]
    return level


def meaning_of(body: Body, taken: Input) -> Meaning:
    """What `body` asks, by the protocol's text; raises `Nonsense` if nothing."""
    if body.json_length == 0:
        _said(-1 not in taken.shape[1:] and len(body.content) == math.prod(taken.shape[1:]))
        return Meaning(None, (1, *taken.shape[1:]), body.content, tuple((name, True) for name in taken.outputs), 0, 0)
    length = len(body.content) if body.json_length is None else body.json_length
    _said(length <= len(body.content))
    tensors = body.content[length:]
    try:
        text = body.content[:length].decode("utf-8")
        request = json.loads(text, parse_constant=_constant, parse_float=_finite, object_pairs_hook=_object)
        json.dumps(request, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Nonsense from error
    _said(_depth(text) <= MAX_DEPTH)
    _said(isinstance(request, dict) and isinstance(request.get("inputs"), list) and len(request["inputs"]) == 1)
    tensor = request["inputs"][0]
    _said(isinstance(tensor, dict) and tensor.get("name") == taken.name and tensor.get("datatype") == "UINT8")
    shape = tensor.get("shape")
    _said(isinstance(shape, list) and len(shape) == 4)
    count, height, width, channels = (_number(size, INT63) for size in shape)
    _said(1 <= count <= taken.max_batch_size and height >= 1 and width >= 1 and channels == 3)
    _said(all(fixed in (-1, size) for fixed, size in zip(taken.shape[1:], shape[1:], strict=True)))
    own = _parameters(tensor)
    _said(("data" in tensor) != ("binary_data_size" in own))
    if "data" in tensor:
        numbers = [_number(value, 255) for value in _flat(tensor["data"])]
        _said(not tensors)
        pixels = bytes(numbers)
    else:
        pixels = tensors
        _said(_number(own["binary_data_size"], INT63) == len(tensors))
    _said(len(pixels) == math.prod(shape))
    identity = request.get("id")
    _said(identity is None or (isinstance(identity, str) and len(identity) <= MAX_ID_CHARACTERS))
    parameters = _parameters(request)
    _said(not any(key.startswith("triton_") for key in parameters))
    return Meaning(
        identity,
        (count, height, width, channels),
        pixels,
        _outputs_of(request, taken, _flag(parameters, "binary_data_output", False)),
        _number(parameters.get("timeout", 0), INT63),
        _number(parameters.get("priority", 0), (1 << 64) - 1),
    )


def _outputs_of(request: Mapping[str, Any], taken: Input, default: bool) -> tuple[tuple[str, bool], ...]:
    asked = request.get("outputs")
    if asked is None:
        asked = []
    _said(isinstance(asked, list))
    meant: dict[str, bool] = {}
    for output in asked:
        _said(isinstance(output, dict) and isinstance(output.get("name"), str) and output["name"] in taken.outputs)
        own = _parameters(output)
        _said("classification" not in own and "shared_memory_region" not in own)
        meant[output["name"]] = _flag(own, "binary_data", default)
    meant = meant or dict.fromkeys(taken.outputs, default)
    return tuple((name, meant[name]) for name in taken.outputs if name in meant)


def read_outputs(body: bytes, json_length: int | None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The JSON of an answer, and its outputs; every byte of it must be spoken for."""
    text = body if json_length is None else body[:json_length]
    answer: dict[str, Any] = json.loads(text)
    end = len(text)
    outputs: dict[str, NDArray[Any]] = {}
    for tensor in answer["outputs"]:
        parameters = tensor.get("parameters")
        assert parameters is None or set(parameters) == {"binary_data_size"}, "clients take it for a binary tensor"
        assert ("data" in tensor) == (parameters is None)
        datatype, shape = tensor["datatype"], tensor["shape"]
        if parameters is None:
            values = tensor["data"]
            array = np.array(values, object if datatype == "BYTES" else DTYPES[datatype])
        else:
            data = body[end : end + parameters["binary_data_size"]]
            end += parameters["binary_data_size"]
            array = read_bytes(data) if datatype == "BYTES" else np.frombuffer(data, DTYPES[datatype])
        assert array.ndim == 1, "data is flat"
        outputs[tensor["name"]] = array.reshape(shape)
    assert end == len(body)
    assert json_length is None or end > json_length, "without a binary tensor there is no such header"
    return answer, outputs


def read_bytes(data: bytes) -> NDArray[Any]:
    """The elements of a binary BYTES tensor, as strings."""
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        element = data[at + 4 : at + 4 + length]
        assert len(element) == length
        found.append(element.decode())
        at += 4 + length
    return np.array(found, object)
