"""Messages are read as they are meant or refused, never answered wrongly, and answers are as clients read them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import InferResult
from tritonclient.grpc import service_pb2 as pb

from tests.protocol.conftest import TAKEN
from tests.protocol.test_rest import row
from tests.testkit.grpc_messages import image_message, in_parts, meaning_of, mutants, requests
from tests.testkit.oip_bodies import Meaning, Nonsense
from topfive.backends.base import Row
from topfive.ground.errors import MalformedRequest, TooLarge, Unsupported
from topfive.grpc.codec import parse, read_infer, read_message, render
from topfive.grpc.wire import split
from topfive.images.decoding import ImageLimits, RawShape, view_raw
from topfive.models.served import ServedModel
from topfive.protocol.requests import InferRequest, RequestedOutput

LIMITS: Final = ImageLimits(max_pixels=1 << 40, max_dimension=1 << 40, max_images=64)
PIXELS: Final = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
NAMES: Final = st.sampled_from(sorted(TAKEN))


def read(model: ServedModel, message: bytes, *, max_bytes: int = 1 << 20, limits: ImageLimits = LIMITS) -> InferRequest:
    """As `grpc_api.infer` does."""
    rest, tensors = split(message)
    return parse(read_infer(rest, max_bytes=max_bytes), tensors, model, limits=limits)


def meaning(request: InferRequest) -> Meaning:
    timeout = request.timeout_seconds
    assert isinstance(request.source, RawShape)
    assert isinstance(request.body, bytes | memoryview)
    return Meaning(
        request.id,
        (request.source.count, request.source.height, request.source.width, 3),
        bytes(request.body),
        tuple((output.spec.name, True) for output in request.outputs),
        0 if timeout is None else round(timeout * 1e6),
        request.priority,
    )


def same(found: Meaning, expected: Meaning) -> bool:
    """Equal; microseconds as seconds lose their last bits beyond 2^53."""
    close = abs(found.timeout_microseconds - expected.timeout_microseconds) <= expected.timeout_microseconds * 1e-15
    return close and vars(found) | {"timeout_microseconds": 0} == vars(expected) | {"timeout_microseconds": 0}


@settings(max_examples=300, deadline=None)
@given(name=NAMES, data=st.data())
def test_a_legal_message_is_read_as_it_is_meant(served: dict[str, ServedModel], name: str, data: st.DataObject) -> None:
    message, meant = data.draw(requests(TAKEN[name]))
    written = in_parts(message)
    assert meaning_of(written, TAKEN[name]) == meant, "the test's own two sides disagree"
    assert same(meaning(read(served[name], written)), meant)


@pytest.mark.untraced
@settings(max_examples=300, deadline=None)
@given(name=NAMES, data=st.data())
def test_a_message_gone_wrong_is_refused_or_read_by_the_protocols_text(
    served: dict[str, ServedModel], name: str, data: st.DataObject
) -> None:
    """With an error of ours, whose text is short enough for a header; nothing else is ever raised."""
    message = data.draw(mutants(TAKEN[name]))
    try:
        expected = meaning_of(message, TAKEN[name])
    except Nonsense:
        with pytest.raises((MalformedRequest, TooLarge, Unsupported)) as refusal:
            read(served[name], message)
        assert len(str(refusal.value)) < 1000
        return
    try:
        split(message)
    except MalformedRequest:
        return  # stricter than protobuf, on the wire alone: `test_wire`
    assert same(meaning(read(served[name], message)), expected)


def test_pixels_are_a_view_of_the_message(served: dict[str, ServedModel]) -> None:
    message = image_message(PIXELS).SerializeToString()
    request = read(served["tiny"], message)
    assert isinstance(request.body, memoryview)
    assert request.body.obj is message
    assert isinstance(request.source, RawShape)
    images = view_raw(request.body, request.source)
    assert np.array_equal(images, PIXELS)
    assert not images.flags.owndata


def without_raw(**contents: Any) -> pb.ModelInferRequest:
    message = image_message(PIXELS)
    del message.raw_input_contents[:]
    if contents:
        message.inputs[0].contents.CopyFrom(pb.InferTensorContents(**contents))
    return message


def with_parameter(where: str, name: str, **value: Any) -> pb.ModelInferRequest:
    message = image_message(PIXELS, outputs=[{"name": "classes"}])
    owner = {"request": message, "input": message.inputs[0], "output": message.outputs[0]}[where]
    owner.parameters[name].CopyFrom(pb.InferParameter(**value))
    return message


RAW: Final = PIXELS.tobytes()
TYPED: Final = {"uint_contents": list(RAW)}


def both() -> pb.ModelInferRequest:
    message = without_raw(**TYPED)
    message.raw_input_contents.append(RAW)
    return message


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (both(), "'raw_input_contents' or in its 'contents', and is in both"),
        (without_raw(), "neither"),
        (image_message(PIXELS, raw_input_contents=[RAW, b""]), "one entry for each input, so 1, and has 2"),
        (image_message(PIXELS, raw_input_contents=[RAW[:-1]]), r"its shape \[1, 4, 4, 3\] has 48 bytes.*got 47"),
        (image_message(PIXELS, raw_input_contents=[RAW + b"x"]), "got 49"),
        (without_raw(uint_contents=list(RAW[1:])), "are 47 numbers, but its shape needs 48"),
        (without_raw(uint_contents=[*RAW[1:], 256]), "must be numbers from 0 to 255"),
        (without_raw(int_contents=list(RAW)), "are in 'int_contents', but UINT8 goes to 'uint_contents'"),
        (without_raw(bytes_contents=[RAW]), "'bytes_contents'"),
        (without_raw(**TYPED, fp32_contents=[1.0]), "'fp32_contents'"),
        (image_message(PIXELS, inputs=[]), "expected 1 input but got 0"),
        (image_message(PIXELS, id="x" * 4097), "'id' must be a string of at most 4096 characters"),
        (with_parameter("request", "timeout", string_param="soon"), "'timeout' must be a whole number .*not 'soon'"),
        (with_parameter("request", "timeout", int64_param=-1), "'timeout'.* not -1"),
        (with_parameter("request", "timeout", double_param=1.0), "'timeout'.* not 1.0"),
        (with_parameter("request", "timeout", uint64_param=1 << 63), "'timeout'"),
        (with_parameter("request", "priority", bool_param=True), "'priority'.* not True"),
        (with_parameter("request", "priority", int64_param=-1), "'priority'.* not -1"),
        (with_parameter("request", "triton_x", int64_param=1), "'triton_x' is reserved"),
        (with_parameter("request", "x"), "'x' of the request must be a string, a number or a boolean"),
        (with_parameter("input", "x"), "'x' of input 'image'"),
        (with_parameter("output", "x"), "'x' of an output"),
    ],
)
def test_a_message_that_cannot_be_meant_is_refused_with_what_is_wrong(
    served: dict[str, ServedModel], message: pb.ModelInferRequest, says: str
) -> None:
    with pytest.raises(MalformedRequest, match=says):
        read(served["tiny"], message.SerializeToString())


@pytest.mark.parametrize(
    "message",
    [
        with_parameter("output", "classification", int64_param=3),
        with_parameter("output", "shared_memory_region", string_param="region"),
        with_parameter("input", "shared_memory_region", string_param="region"),
    ],
)
def test_what_is_not_offered_is_said_so(served: dict[str, ServedModel], message: pb.ModelInferRequest) -> None:
    with pytest.raises(Unsupported, match="not offered"):
        read(served["tiny"], message.SerializeToString())


def test_only_what_is_beside_the_raw_tensors_counts_against_its_bound(served: dict[str, ServedModel]) -> None:
    """Numbers cost a hundred times the CPU of bytes, and the message says what to send instead."""
    most = 100
    assert len(image_message(PIXELS).SerializeToString()) < most
    large = image_message(np.zeros((1, 100, 100, 3), np.uint8)).SerializeToString()
    assert read(served["tiny"], large, max_bytes=most).source == RawShape(100, 100, 1)
    with pytest.raises(TooLarge, match="send pixels in raw_input_contents"):
        read(served["tiny"], without_raw(**TYPED, bool_contents=[True] * 50).SerializeToString(), max_bytes=most)


def test_an_image_over_a_limit_is_refused_before_it_is_looked_at(served: dict[str, ServedModel]) -> None:
    limits = ImageLimits(max_pixels=15, max_dimension=100, max_images=64)
    with pytest.raises(TooLarge, match="16 pixels"):
        read(served["tiny"], image_message(PIXELS).SerializeToString(), limits=limits)


@given(data=st.binary(max_size=20))
def test_what_is_no_message_of_its_kind_is_refused_by_name(data: bytes) -> None:
    try:
        expected = pb.ModelReadyRequest.FromString(data)
    except DecodeError:
        with pytest.raises(MalformedRequest, match="not a ModelReadyRequest"):
            read_message(pb.ModelReadyRequest, data)
    else:
        assert read_message(pb.ModelReadyRequest, data) == expected


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=3), identity=st.none() | st.text(max_size=10), data=st.data())
def test_an_answer_is_read_by_the_stock_client_as_it_was_meant(
    served: dict[str, ServedModel], rows: list[Row], identity: str | None, data: st.DataObject
) -> None:
    """Every bit of every number, every label, in the order of the images; each output by its own name."""
    model = served["wide"]
    chosen = data.draw(st.lists(st.sampled_from(model.config.outputs), min_size=1, unique=True))
    outputs = [RequestedOutput(spec, binary=data.draw(st.booleans())) for spec in chosen]
    answer = pb.ModelInferResponse.FromString(render(model, identity, outputs, rows))
    assert (answer.model_name, answer.model_version, answer.id) == ("wide", "1", identity or "")
    assert [output.name for output in answer.outputs] == [spec.name for spec in chosen]
    assert [output.datatype for output in answer.outputs] == [spec.datatype for spec in chosen]
    assert not any(output.HasField("contents") for output in answer.outputs)
    result = InferResult(answer)
    for spec in chosen:
        expected = np.stack([each[spec.name] for each in rows])
        theirs = result.as_numpy(spec.name)
        assert theirs.shape == expected.shape
        if spec.datatype == "BYTES":
            assert [label.decode() for label in theirs.flat] == list(expected.flat)
        else:
            assert theirs.dtype == expected.dtype
            assert theirs.tobytes() == expected.tobytes()
