"""Tensors to bytes and JSON and back: little-endian, row by row, exact to the last bit."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from tests.testkit.oip_bodies import DTYPES, read_bytes
from topfive.ground.errors import BackendFailure, MalformedRequest
from topfive.ground.types import TensorSpec
from topfive.protocol.tensors import (
    bytes_of_numbers,
    files_of_bytes,
    files_of_strings,
    shape_of,
    to_bytes,
    to_json,
)

KINDS: Final = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
ELEMENTS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "BOOL": st.booleans(),
    "UINT8": st.integers(0, 255),
    "INT32": st.integers(-(2**31), 2**31 - 1),
    "FP16": st.floats(width=16, allow_nan=False, allow_infinity=False),
    "FP64": st.floats(allow_nan=False, allow_infinity=False),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "FP32": st.floats(width=32, allow_nan=False, allow_infinity=False),
}
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@st.composite
def tensors(draw: st.DrawFn, datatypes: tuple[str, ...]) -> tuple[TensorSpec, list[NDArray[Any]]]:
    """An output's spec, and one tensor of it for each of several images; some are transposed, as a graph's may be."""
    datatype, shape = draw(st.sampled_from(datatypes)), draw(shapes)
    count, size = draw(st.integers(1, 3)), math.prod(shape)
    made = []
    for _ in range(count):
        values = draw(st.lists(ELEMENTS[datatype], min_size=size, max_size=size))
        array: NDArray[Any] = np.array(values, KINDS[datatype]).reshape(shape)
        made.append(array.T.copy().T if draw(st.booleans()) else array)
    return TensorSpec("x", datatype, (-1, *shape)), made


@given(tensors(tuple(KINDS)))
def test_numbers_come_back_from_bytes_and_from_json_as_they_were(given: tuple[TensorSpec, list[NDArray[Any]]]) -> None:
    spec, images = given
    rows = [{"x": image} for image in images]
    expected = np.stack(images)
    assert shape_of(spec, rows) == list(expected.shape)
    dtype = DTYPES[spec.datatype]
    binary = np.frombuffer(to_bytes(spec, rows), dtype).reshape(expected.shape)
    written = orjson.dumps(to_json(spec, rows))
    for read in (binary, np.array(json.loads(written), dtype).reshape(expected.shape)):
        assert read.tobytes() == expected.tobytes()


def test_outputs_that_differ_in_shape_are_not_one_tensor() -> None:
    """A graph's free dimension may come out otherwise in each batch, and the images of a request run in several."""
    spec = TensorSpec("boxes", "FP32", (-1, -1))
    rows = [{"boxes": np.zeros(size, np.float32)} for size in (3, 3, 2)]
    assert shape_of(spec, rows[:2]) == [2, 3]
    with pytest.raises(BackendFailure, match="'boxes' differs in shape"):
        shape_of(spec, rows)


def test_every_float32_is_exact_in_json() -> None:
    """All exponents with the first and last mantissas, and a thousand of any."""
    exponents = np.arange(255, dtype=np.uint32) << 23
    edges = np.concatenate([exponents | mantissa for mantissa in (0, 1, 0x7FFFFE, 0x7FFFFF)])
    some = np.random.default_rng(7).integers(0, 0x7F800000, 1000, np.uint32)
    bits = np.concatenate([edges, some])
    values = np.concatenate([bits, bits | np.uint32(0x80000000)]).view(np.float32)
    text = orjson.dumps(to_json(TensorSpec("x", "FP32", (-1, values.size)), [{"x": values}]))
    assert np.array(json.loads(text), np.float32).tobytes() == values.tobytes()


@given(st.lists(st.lists(st.text(max_size=8), min_size=3, max_size=3), min_size=1, max_size=3))
def test_labels_come_back_from_bytes_and_from_json_as_they_were(labels: list[list[str]]) -> None:
    """Empty, long, beyond the first plane, with NULs and with what looks like a length."""
    spec = TensorSpec("x", "BYTES", (-1, 3))
    rows = [{"x": np.array(image, object)} for image in labels]
    flat = [label for image in labels for label in image]
    data = to_bytes(spec, rows)
    assert read_bytes(data).tolist() == flat
    assert [element.decode() for element in deserialize_bytes_tensor(data)] == flat
    assert json.loads(orjson.dumps(to_json(spec, rows))) == flat


def test_the_length_of_a_label_counts_its_bytes() -> None:
    rows = [{"x": np.array(["Bücher", ""], object)}]
    assert to_bytes(TensorSpec("x", "BYTES", (-1, 2)), rows) == b"\x07\0\0\0B\xc3\xbccher\0\0\0\0"


@given(numbers=st.lists(st.integers(0, 255), max_size=60), groups=st.lists(st.integers(1, 5), max_size=4))
def test_numbers_are_read_however_they_are_nested(numbers: list[int], groups: list[int]) -> None:
    data: list[Any] = numbers
    for size in groups:
        data = [data[start : start + size] for start in range(0, len(data), size)]
    read = bytes_of_numbers(data, name="x", expected=len(numbers), has_booleans=False)
    assert read == bytes(numbers)


@given(numbers=st.lists(st.integers(0, 255), min_size=2, max_size=60), data=st.data())
def test_one_wrong_element_anywhere_refuses_all(numbers: list[int], data: st.DataObject) -> None:
    wrong: st.SearchStrategy[Any] = st.sampled_from(
        [-1, 256, 2**31, 2**63, 2**64, -(2**64), 1.0, 0.5, None, "1", "", True, False, {}, [1], []]
    )
    place = data.draw(st.integers(0, len(numbers) - 1))
    changed: list[Any] = [*numbers[:place], data.draw(wrong), *numbers[place + 1 :]]
    with pytest.raises(MalformedRequest, match="the data of input 'x'"):
        bytes_of_numbers(changed, name="x", expected=len(numbers), has_booleans=True)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=5))
def test_files_come_out_of_bytes_as_they_went_in(files: list[bytes]) -> None:
    """Written by the stock client; as views of what came."""
    tensor = serialize_byte_tensor(np.array(files, np.object_))
    assert tensor is not None
    data = memoryview(tensor.item())
    found = files_of_bytes(data, name="image", count=len(files))
    assert [bytes(file) for file in found] == files
    assert all(file.obj is data.obj for file in found)
    for wrong in (data[:-1], data[:-1].tobytes()[:3], bytes(data) + b"x", b""):
        with pytest.raises(MalformedRequest, match="input 'image'"):
            files_of_bytes(memoryview(wrong), name="image", count=len(files))


@given(st.binary(max_size=60), st.integers(1, 4))
def test_any_bytes_are_files_or_refused(data: bytes, count: int) -> None:
    """The numbers in them are the client's: none is believed."""
    try:
        found = files_of_bytes(memoryview(data), name="image", count=count)
    except MalformedRequest:
        return
    assert b"".join(len(file).to_bytes(4, "little") + bytes(file) for file in found) == data
    assert len(found) == count


@pytest.mark.parametrize("data", [["/9j/"], [["/9j/"]], [[["data:image/jpeg;base64,/9j/"]]]])
def test_strings_are_base64(data: Any) -> None:
    assert files_of_strings(data, name="image", count=1) == [b"\xff\xd8\xff"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "must be a list of strings"),
        ("/9j/", "must be a list of strings"),
        ([1, 2], "must be a list of strings"),
        ([["/9j/"], "/9j/"], "must be a list of strings"),
        ([], "has 0 elements, but its shape needs 1"),
        (["/9j/", "/9j/"], "has 2 elements"),
        (["*"], "element 0 of input 'image' is not base64"),
        ([""], "element 0 of input 'image' is empty"),
    ],
)
def test_other_data_is_refused(data: Any, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        files_of_strings(data, name="image", count=1)
