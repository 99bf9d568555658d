"""Bytes are read as the protocol means them or refused, and answers are read by clients as they were meant."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tritonclient.http import InferResult

from tests.protocol.conftest import TAKEN
from tests.testkit.oip_bodies import (
    Body,
    Input,
    Meaning,
    Nonsense,
    binary_body,
    image_input,
    json_body,
    json_image,
    meaning_of,
    mutants,
    read_outputs,
    requests,
)
from topfive.backends.base import Row
from topfive.ground.errors import MalformedRequest, TooLarge, Unsupported
from topfive.images.decoding import ImageLimits, RawShape, view_raw
from topfive.models.served import ServedModel
from topfive.protocol.requests import InferRequest, RequestedOutput
from topfive.protocol.rest import check_json_length, json_length_of, parse, render

LIMITS: Final = ImageLimits(max_pixels=25_000_000, max_dimension=32_768, max_images=64)
REFUSALS: Final = (MalformedRequest, TooLarge, Unsupported)
MICROSECOND: Final = 1e-6

models = st.sampled_from(sorted(TAKEN))


def read(model: ServedModel, body: Body) -> InferRequest:
    """What the service reads: the header, then the body."""
    header = None if body.json_length is None else str(body.json_length).encode()
    json_length = json_length_of(header)
    check_json_length(json_length, len(body.content), most=8 << 20)
    return parse(body.content, json_length, model, limits=LIMITS)


def raw_of(request: InferRequest) -> tuple[bytes | memoryview, RawShape]:
    """The pixels of a request that has no files."""
    assert isinstance(request.source, RawShape)
    assert isinstance(request.body, bytes | memoryview)
    return request.body, request.source


def as_meant(request: InferRequest) -> Meaning:
    pixels, shape = raw_of(request)
    seconds = request.timeout_seconds
    return Meaning(
        request.id,
        (shape.count, shape.height, shape.width, 3),
        bytes(pixels),
        tuple((output.spec.name, output.binary) for output in request.outputs),
        0 if seconds is None else round(seconds / MICROSECOND),
        request.priority,
    )


# What is legal.


@pytest.mark.untraced
@settings(max_examples=200, deadline=None)
@given(name=models, data=st.data())
def test_every_legal_request_is_read_as_it_is_meant(
    served: dict[str, ServedModel], name: str, data: st.DataObject
) -> None:
    body, meaning = data.draw(requests(TAKEN[name]))
    request = read(served[name], body)
    assert as_meant(request) == as_written(meaning)
    assert meaning_of(body, TAKEN[name]) == meaning, "the tests' own reading is true"


def as_written(meaning: Meaning) -> Meaning:
    """`meaning` with its time as a float in seconds can tell it."""
    seconds = meaning.timeout_microseconds * MICROSECOND
    return Meaning(**{**vars(meaning), "timeout_microseconds": round(seconds / MICROSECOND)})


@pytest.mark.parametrize("kind", [bytes, memoryview, lambda whole: np.frombuffer(whole, np.uint8).data])
def test_binary_pixels_are_a_view_of_the_body(served: dict[str, ServedModel], kind: Any) -> None:
    """From the socket to the tensor nothing is copied."""
    pixels = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    made = binary_body(
        {"inputs": [image_input(pixels.shape, parameters={"binary_data_size": pixels.nbytes})]}, pixels.tobytes()
    )
    body = kind(made.content)
    request = parse(body, made.json_length, served["tiny"], limits=LIMITS)
    tensor = view_raw(*raw_of(request))
    assert np.array_equal(tensor, pixels)
    assert np.shares_memory(tensor, np.frombuffer(body, np.uint8))


def test_a_raw_body_is_the_pixels_themselves(served: dict[str, ServedModel]) -> None:
    body = bytes(range(12))
    request = parse(body, 0, served["classify"], limits=LIMITS)
    assert np.shares_memory(view_raw(*raw_of(request)), np.frombuffer(body, np.uint8))
    assert all(output.binary for output in request.outputs)
    assert [output.spec.name for output in request.outputs] == list(TAKEN["classify"].outputs)


def test_reading_a_large_binary_request_takes_no_memory_of_its_size(served: dict[str, ServedModel]) -> None:
    size = 4000 * 3000 * 3
    tensor = image_input((1, 3000, 4000, 3), parameters={"binary_data_size": size})
    body = binary_body({"inputs": [tensor]}, bytes(size))
    assert peak_of(lambda: read(served["tiny"], body)) < 20_000


# What is not.


def refused_or_meant(model: ServedModel, taken: Input, body: Body) -> None:
    """Nothing is refused that means something; a refusal is short enough to be read."""
    try:
        meaning = meaning_of(body, taken)
    except Nonsense:
        with pytest.raises(REFUSALS) as refusal:
            read(model, body)
        assert 0 < len(str(refusal.value).encode()) < 1000
    else:
        assert as_meant(read(model, body)) == as_written(meaning)


@pytest.mark.untraced
@settings(max_examples=300, deadline=None)
@given(name=models, data=st.data())
def test_every_mutant_is_refused_or_means_what_it_says(
    served: dict[str, ServedModel], name: str, data: st.DataObject
) -> None:
    refused_or_meant(served[name], TAKEN[name], data.draw(mutants(TAKEN[name])))


@settings(max_examples=200, deadline=None)
@given(name=models, content=st.binary(max_size=200), stated=st.none() | st.integers(0, 220))
def test_garbage_is_refused(served: dict[str, ServedModel], name: str, content: bytes, stated: int | None) -> None:
    refused_or_meant(served[name], TAKEN[name], Body(content, stated))


DEEP: Final = "[" * 1000 + "]" * 1000


@pytest.mark.parametrize("place", ["name", "datatype", "shape", "binary_data_size", "id", "timeout", "output"])
def test_json_nested_as_deeply_as_json_may_be_is_refused_in_any_place(
    served: dict[str, ServedModel], place: str
) -> None:
    """To show it in a message takes more levels than Python has."""
    values = dict.fromkeys(("name", "datatype", "id", "output"), f'"{place}"')
    values |= {"name": '"image"', "datatype": '"UINT8"', "output": '"classes"', "id": '"1"', "timeout": "1"}
    values |= {"shape": "[1,1,1,3]", "binary_data_size": "3", place: DEEP}
    text = (
        f'{{"id":{values["id"]},"inputs":[{{"name":{values["name"]},"datatype":{values["datatype"]},'
        f'"shape":{values["shape"]},"parameters":{{"binary_data_size":{values["binary_data_size"]}}}}}],'
        f'"outputs":[{{"name":{values["output"]}}}],"parameters":{{"timeout":{values["timeout"]}}}}}'
    )
    with pytest.raises(MalformedRequest) as refusal:
        read(served["tiny"], Body(text.encode() + b"rgb", len(text)))
    assert len(str(refusal.value)) < 500


@pytest.mark.untraced
@pytest.mark.parametrize("place", ["name", "datatype", "shape", "timeout"])
def test_a_long_value_is_not_repeated(served: dict[str, ServedModel], place: str) -> None:
    """Nor copied: a message about a megabyte takes no megabytes."""
    long: dict[str, Any] = {
        "name": "x" * 10**6,
        "datatype": ["y" * 10**6],
        "shape": [1] * 10**6,
        "timeout": "z" * 10**6,
    }
    tensor = image_input((1, 1, 1, 3), data=[1, 2, 3]) | ({} if place == "timeout" else {place: long[place]})
    body = json_body({"inputs": [tensor], "parameters": {"timeout": long["timeout"] if place == "timeout" else 1}})
    with pytest.raises(MalformedRequest) as refusal:
        parse(body.content, None, served["tiny"], limits=LIMITS)
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(
    "shape",
    [
        (1, 5000, 5000, 3),
        (8, 5000, 5000, 3),
        (1, 1, 1, 2**62),
        (2**63 - 1, 2**63 - 1, 2**63 - 1, 3),
        (1, 2**32, 2**32, 3),
        (2**32, 2**32, 1, 3),
        (1, 32_768, 32_768, 3),
    ],
)
def test_no_memory_is_taken_by_what_a_shape_says(served: dict[str, ServedModel], shape: tuple[int, ...]) -> None:
    """Whatever is announced, and however truly its product is repeated: what is there is three bytes."""
    said = math.prod(shape)
    bodies = [
        binary_body({"inputs": [image_input(shape, parameters={"binary_data_size": size})]}, b"rgb")
        for size in (3, min(said, 2**64 - 1))
    ]
    bodies.append(json_body({"inputs": [image_input(shape, data=[1, 2, 3])]}))

    def refuse_all() -> None:
        for body in bodies:
            with pytest.raises(REFUSALS):
                read(served["tiny"], body)

    assert peak_of(refuse_all) < 50_000


def peak_of(call: Callable[[], object]) -> int:
    """Bytes of Python's memory that `call` took at its height, after a first time that fills caches."""
    call()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        *([[1, 2, 3], {}], [[1, 2, 3], ""], [{}, [1, 2, 3]], [[1, 2, 3], [], 4], [[1], [2], 3], [[1], "2", [3]]),
        *([1, 2, [3]], [[[1, 2, 3]], [], {}], [True, 2, 3], [1, 2, False], [[1, 2], [True]]),
        *({"0": 1}, "\x01\x02\x03", 7, None, [1, 2, 2**63], [1, 2, 2**64 - 1], [1, 2, -1], [1, 2, 256]),
        *([1, 2, 3.0], [1, 2, None], [1, 2, "3"], [], [[], [], []], [1, 2], [1, 2, 3, 4], [[1, 2, 3]] * 2),
    ],
    ids=str,
)
def test_data_that_is_not_lists_of_bytes_is_refused(served: dict[str, ServedModel], data: Any) -> None:
    body = json_body({"inputs": [image_input((1, 1, 1, 3), data=data)]})
    with pytest.raises(MalformedRequest, match="data of input 'image'"):
        read(served["tiny"], body)


@pytest.mark.parametrize("token", ["[]", '{"":[0]}', "[[]]"])
def test_so_many_lists_and_objects_that_others_would_wait_are_refused(
    served: dict[str, ServedModel], token: str
) -> None:
    """However little room they take: the parser makes them all in one go, and nothing else runs meanwhile."""
    inputs = json.dumps([image_input((1, 1, 1, 3), data=[1, 2, 3])])
    opened = inputs.count("[") + inputs.count("{") + 2
    each = token.count("[") + token.count("{")
    for count, accepted in (((196_608 - opened) // each, True), ((196_608 - opened) // each + 1, False)):
        body = Body(f'{{"inputs":{inputs},"x":[{",".join([token] * count)}]}}'.encode(), None)
        if accepted:
            assert bytes(raw_of(read(served["tiny"], body))[0]) == b"\x01\x02\x03"
        else:
            with pytest.raises(TooLarge, match="lists and objects, and at most 196608 are accepted"):
                read(served["tiny"], body)


def test_so_many_values_that_others_would_wait_are_refused(served: dict[str, ServedModel]) -> None:
    inputs = json.dumps([image_input((1, 1, 1, 3), data=[1, 2, 3])], separators=(",", ":"))
    rest = 1_048_576 - inputs.count(",") - 1  # that before "x"
    for count, accepted in ((rest + 1, True), (rest + 2, False)):
        body = Body(f'{{"inputs":{inputs},"x":[{",".join(["7"] * count)}]}}'.encode(), None)
        if accepted:
            assert bytes(raw_of(read(served["tiny"], body))[0]) == b"\x01\x02\x03"
        else:
            with pytest.raises(TooLarge, match="values, and at most 1048576 are accepted"):
                read(served["tiny"], body)


def test_pixels_of_a_photo_may_be_nested(served: dict[str, ServedModel]) -> None:
    pixels = np.arange(500 * 375 * 3, dtype=np.uint32).astype(np.uint8).reshape(1, 500, 375, 3)
    body = Body(json.dumps(json.loads(json_image(pixels).content), separators=(",", ":")).encode(), None)
    assert np.array_equal(view_raw(*raw_of(read(served["tiny"], body))), pixels)


def test_a_string_elsewhere_that_says_true_does_no_harm(served: dict[str, ServedModel]) -> None:
    """The search for booleans is one for their letters, which may stand in any string."""
    body = json_body({"id": "true and false", "inputs": [image_input((1, 1, 1, 3), data=[1, 0, 1])]})
    assert bytes(raw_of(read(served["tiny"], body))[0]) == b"\x01\x00\x01"


@pytest.mark.parametrize(
    "header", [b"", b"+1", b"-1", b"1_4", b" 12", b"12 ", b"12.5", b"0x1", b"1e3", b"9" * 19, b"1, 1"]
)
def test_a_json_length_that_is_no_plain_number_is_refused(header: bytes) -> None:
    with pytest.raises(MalformedRequest, match="Inference-Header-Content-Length must be a plain decimal number"):
        json_length_of(header)


def test_other_scripts_digits_are_no_json_length() -> None:
    for digits in ("\N{ARABIC-INDIC DIGIT THREE}", "\N{SUPERSCRIPT TWO}", "\N{FULLWIDTH DIGIT ONE}"):
        with pytest.raises(MalformedRequest):
            json_length_of(digits.encode())


@given(stated=st.none() | st.integers(0, 10**18 - 1), length=st.integers(0, 300), most=st.integers(1, 300))
def test_a_json_length_is_held_against_the_body_and_then_against_the_limit(
    stated: int | None, length: int, most: int
) -> None:
    assert json_length_of(None if stated is None else str(stated).encode()) == stated
    if stated is not None and stated > length:
        with pytest.raises(MalformedRequest, match=f"is {stated}, but the body has only {length} bytes"):
            check_json_length(stated, length, most=most)
    elif (length if stated is None else stated) > most:
        with pytest.raises(TooLarge, match=f"at most {most} are accepted; send pixels as a binary tensor"):
            check_json_length(stated, length, most=most)
    else:
        assert check_json_length(stated, length, most=most) == (length if stated is None else stated)


@pytest.mark.parametrize(
    ("place", "key"),
    [("output", "classification"), ("output", "shared_memory_region"), ("input", "shared_memory_region")],
)
def test_extensions_that_are_not_offered_are_refused_as_such(
    served: dict[str, ServedModel], place: str, key: str
) -> None:
    parameters = {place: {key: 3 if key == "classification" else "region"}}
    tensor = image_input((1, 1, 1, 3), data=[1, 2, 3], parameters=parameters.get("input", {}))
    outputs = [{"name": "classes", "parameters": parameters.get("output", {})}]
    with pytest.raises(Unsupported, match="not offered"):
        read(served["tiny"], json_body({"inputs": [tensor], "outputs": outputs}))


# Answers.

FLOATS: Final = st.floats(width=32, allow_nan=False, allow_infinity=False)
labels = st.text(max_size=10)


def array_of(values: st.SearchStrategy[Any], dtype: Any, shape: tuple[int, ...]) -> st.SearchStrategy[NDArray[Any]]:
    size = math.prod(shape)
    return st.lists(values, min_size=size, max_size=size).map(lambda drawn: np.array(drawn, dtype).reshape(shape))


row: st.SearchStrategy[Row] = st.fixed_dictionaries(
    {
        "classes": array_of(labels, object, (5,)),
        "probabilities": array_of(FLOATS, np.float32, (5,)),
        "indices": array_of(st.integers(-(2**63), 2**63 - 1), np.int64, (5,)),
        "scores": array_of(st.integers(0, 255), np.uint8, (2, 3)),
    }
)


@pytest.mark.untraced
@settings(max_examples=200, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=3), identity=st.none() | st.text(max_size=10), data=st.data())
def test_an_answer_is_read_as_it_was_meant(
    served: dict[str, ServedModel], rows: list[Row], identity: str | None, data: st.DataObject
) -> None:
    """By hand and by the stock client: every bit of every FP32 and INT64, every label, in the order of the images."""
    model = served["wide"]
    chosen = data.draw(st.lists(st.sampled_from(model.config.outputs), min_size=1, unique=True))
    outputs = [RequestedOutput(spec, binary=data.draw(st.booleans())) for spec in chosen]
    body, json_length = render(model, identity, outputs, rows)
    answer, found = read_outputs(body, json_length)
    assert set(answer) == {"model_name", "model_version", "outputs"} | ({"id"} if identity is not None else set())
    assert (answer["model_name"], answer["model_version"], answer.get("id")) == ("wide", "1", identity)
    assert [output["name"] for output in answer["outputs"]] == [output.spec.name for output in outputs]
    assert (json_length is None) == (not any(output.binary for output in outputs))
    by_client = InferResult.from_response_body(body, header_length=json_length)
    for output in outputs:
        expected = np.stack([each[output.spec.name] for each in rows])
        theirs = by_client.as_numpy(output.spec.name)
        if output.spec.datatype == "BYTES" and output.binary:
            theirs = np.array([label.decode() for label in theirs.flat], object).reshape(theirs.shape)
        for array in (found[output.spec.name], theirs):
            assert array.shape == expected.shape
            assert array.tolist() == expected.tolist()
            if output.spec.datatype != "BYTES":
                assert array.tobytes() == expected.tobytes(), "every bit, also that of -0.0"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_cannot_say_is_null_there_and_itself_in_binary(served: dict[str, ServedModel], value: float) -> None:
    model = served["tiny"]
    spec = next(spec for spec in model.config.outputs if spec.datatype == "FP32")
    rows = [{spec.name: np.full(5, value, np.float32)}]
    text, _ = render(model, None, [RequestedOutput(spec, binary=False)], rows)
    assert json.loads(text)["outputs"][0]["data"] == [None] * 5
    _, found = read_outputs(*render(model, None, [RequestedOutput(spec, binary=True)], rows))
    assert found[spec.name].tobytes() == rows[0][spec.name].tobytes()
