"""A request is the message that protobuf would write; an answer's tensors come back as rows, or are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb
from tritonclient.utils import serialize_byte_tensor

from topfive.backends.triton.messages import Messages
from topfive.ground.errors import BackendFailure
from topfive.ground.types import TensorSpec

IMAGE = TensorSpec("pixels", "UINT8", (-1, -1, -1, 3))
OUTPUTS = (
    TensorSpec("classes", "BYTES", (-1, 2)),
    TensorSpec("probabilities", "FP32", (-1, 2)),
    TensorSpec("indices", "INT64", (-1, 2)),
)
MESSAGES = Messages(model="m", version=3, image=IMAGE, outputs=OUTPUTS)

Pixels = NDArray[np.uint8]


@st.composite
def batches(draw: st.DrawFn) -> list[Pixels]:
    """Some images of one size."""
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 60)), 3)
    return draw(st.lists(arrays(np.uint8, shape), min_size=1, max_size=4))


@given(batches())
def test_a_request_reads_back_as_what_was_sent(images: list[Pixels]) -> None:
    request = pb.ModelInferRequest.FromString(MESSAGES.request(images))
    assert (request.model_name, request.model_version) == ("m", "3")
    (tensor,) = request.inputs
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("pixels", "UINT8", [len(images), *images[0].shape])
    assert [output.name for output in request.outputs] == ["classes", "probabilities", "indices"]
    (raw,) = request.raw_input_contents
    assert raw == np.stack(images).tobytes()


def test_a_view_that_is_not_contiguous_is_sent_as_it_looks() -> None:
    image = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)[:, ::2]
    request = pb.ModelInferRequest.FromString(MESSAGES.request([image]))
    assert request.raw_input_contents[0] == image.tobytes()


def answer(labels: list[list[str]], probabilities: Any, indices: Any) -> Any:
    """As Triton writes it."""
    response = pb.ModelInferResponse()
    for name, datatype, values, raw in (
        ("classes", "BYTES", np.array(labels, object), serialize_byte_tensor(np.array(labels, object)).item()),
        ("probabilities", "FP32", probabilities, probabilities.tobytes()),
        ("indices", "INT64", indices, indices.tobytes()),
    ):
        response.outputs.add(name=name, datatype=datatype, shape=values.shape)
        response.raw_output_contents.append(raw)
    return response


def sample(count: int = 2) -> Any:
    return answer([["a", "b"]] * count, np.full((count, 2), 0.5, np.float32), np.ones((count, 2), np.int64))


@pytest.mark.parametrize(
    ("datatype", "column"),
    [
        ("FP32", np.array([[1.5, -2.0, 3.0], [0.0, 5.0, 6.0]], np.float32)),
        ("FP16", np.array([[1.5, -2.0, 3.0], [0.0, 5.0, 6.0]], np.float16)),
        ("FP64", np.array([[1.5, -2.0, 3.0], [0.0, 5.0, 6.0]], np.float64)),
        ("INT32", np.array([[1, -2, 3], [0, 5, 6]], np.int32)),
        ("UINT8", np.array([[1, 2, 3], [0, 5, 255]], np.uint8)),
        ("BOOL", np.array([[True, False, True], [False, False, True]])),
    ],
)
def test_further_outputs_come_back_as_rows(datatype: str, column: NDArray[Any]) -> None:
    """An embedding, say; it is asked for like the others."""
    further = TensorSpec("further", datatype, (-1, 3))
    messages = Messages(model="m", version=3, image=IMAGE, outputs=(*OUTPUTS, further))
    asked = pb.ModelInferRequest.FromString(messages.request([np.zeros((1, 1, 3), np.uint8)] * 2)).outputs
    assert [output.name for output in asked][-1] == "further"
    response = sample()
    response.outputs.add(name="further", datatype=datatype, shape=column.shape)
    response.raw_output_contents.append(column.tobytes())
    rows = messages.rows(response, 2)
    assert [row["further"].tolist() for row in rows] == column.tolist()
    with pytest.raises(BackendFailure, match="'further'"):
        messages.rows(sample(), 2)


@given(
    st.integers(1, 5).flatmap(
        lambda count: st.tuples(
            st.lists(st.lists(st.text(), min_size=2, max_size=2), min_size=count, max_size=count),
            arrays(np.float32, (count, 2), elements=st.floats(0, 0.5, width=32)),
            arrays(np.int64, (count, 2), elements=st.integers(0, 2**63 - 1)),
        )
    )
)
def test_an_answer_reads_back_as_its_rows(content: tuple[list[list[str]], Any, Any]) -> None:
    labels, probabilities, indices = content
    rows = MESSAGES.rows(answer(labels, probabilities, indices), len(labels))
    assert [row["classes"].tolist() for row in rows] == labels
    assert np.array_equal(np.stack([row["probabilities"] for row in rows]), probabilities)
    assert np.array_equal(np.stack([row["indices"] for row in rows]), indices)
    assert {name: values.dtype.name for name, values in rows[0].items()} == {
        "classes": "object",
        "probabilities": "float32",
        "indices": "int64",
    }


def test_outputs_are_found_by_their_names_in_any_order() -> None:
    response = sample()
    for values in (response.outputs, response.raw_output_contents):
        reverse = list(values)[::-1]
        del values[:]
        values.extend(reverse)
    assert MESSAGES.rows(response, 2)[0]["classes"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda response: response.outputs.pop(), "'indices'"),
        (lambda response: response.raw_output_contents.pop(), "'indices'"),
        (lambda response: response.outputs[1].shape.append(1), "'probabilities'"),
        (lambda response: setattr(response.outputs[1], "datatype", "FP64"), "'probabilities'"),
        (lambda response: response.ClearField("outputs"), "no outputs"),
    ],
)
def test_another_answer_than_was_asked_for_is_refused(change: Any, named: str) -> None:
    response = sample()
    change(response)
    with pytest.raises(BackendFailure, match=named):
        MESSAGES.rows(response, 2)


def test_rows_for_another_number_of_images_are_refused() -> None:
    with pytest.raises(BackendFailure, match=r"\[3, 2\]"):
        MESSAGES.rows(sample(2), 3)


@pytest.mark.parametrize("output", range(3))
@given(keep=st.integers(0, 15))
def test_a_tensor_that_is_cut_short_is_refused(output: int, keep: int) -> None:
    response = sample()
    response.raw_output_contents[output] = response.raw_output_contents[output][:keep]
    with pytest.raises(BackendFailure):
        MESSAGES.rows(response, 2)
