"""What an input must be is checked exactly, whatever the protocol it came by, and every refusal says what is wrong."""

from __future__ import annotations

import math
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topfive.ground.errors import MalformedRequest, TooLarge
from topfive.images.decoding import ImageLimits, RawShape
from topfive.models.served import ServedModel
from topfive.protocol.requests import check_input, check_size
from topfive.request.sources import EncodedImages

LIMITS: Final = ImageLimits(max_pixels=1000, max_dimension=100, max_images=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
edges = st.sampled_from([-1, 0, 1, 2, 3, 4, 5, 8, 9, 100, 101, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 1.0, True, None])


def check(
    model: ServedModel, *, name: Any = "image", datatype: Any = "UINT8", shape: Any = (1, 1, 1, 3)
) -> RawShape | EncodedImages:
    as_read = list(shape) if isinstance(shape, tuple) else shape  # which no JSON has
    return check_input(model, LIMITS, name=name, datatype=datatype, shape=as_read)


@given(shape=st.lists(edges, min_size=4, max_size=4) | st.lists(edges, max_size=6) | json_values)
@example(shape=[1, 2**32, 2**32, 3])
@example(shape=[True, 1, 1, 3])
@example(shape=[4, 10, 100, 3])
def test_a_shape_is_taken_if_and_only_if_it_is_within_every_bound(served: dict[str, ServedModel], shape: Any) -> None:
    """Bounds here: four images a request of at most 1000 pixels each, 100 a side; the graph itself would take eight."""
    if is_within_bounds(shape):
        taken = check(served["tiny"], shape=shape)
        assert isinstance(taken, RawShape)
        assert [taken.count, taken.height, taken.width, 3] == shape
        assert taken.nbytes == math.prod(shape)
    else:
        with pytest.raises((MalformedRequest, TooLarge)) as refusal:
            check(served["tiny"], shape=shape)
        assert len(str(refusal.value)) < 500


def is_within_bounds(shape: Any) -> bool:
    if not isinstance(shape, list) or len(shape) != 4 or any(type(size) is not int for size in shape):
        return False
    count, height, width, channels = shape
    fits = 1 <= count <= 4 and 1 <= height <= 100 and 1 <= width <= 100 and height * width <= 1000
    return fits and bool(channels == 3)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((1, 3, 2, 3), r"has the shape \[1, 3, 2, 3\], but model 'classify' takes \[-1, 2, 2, 3\]"),
        ((1, 2, 2, 4), "has the shape"),
        ((1, 2, 2), "has the shape"),
        ((1, 2, 2, 3, 1), "has the shape"),
        ((), "has the shape"),
        ((1, 2, 2, -1), "must be a list of whole numbers of at least 0"),
        ((1.0, 2, 2, 3), "must be a list of whole numbers"),
        ((2**63, 2, 2, 3), "must be a list of whole numbers"),
        ({"0": 1}, "must be a list of whole numbers"),
        (None, "must be a list of whole numbers"),
        ((0, 2, 2, 3), "count is 0"),
        ((5, 2, 2, 3), "inference request batch-size must be <= 4 for 'classify', and this has 5 images"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_the_shape(served: dict[str, ServedModel], shape: Any, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        check(served["classify"], name="pixels", shape=shape)


@given(name=json_values)
def test_any_other_name_is_refused(served: dict[str, ServedModel], name: Any) -> None:
    with pytest.raises(MalformedRequest, match=r"unexpected inference input .* it takes one, 'image'"):
        check(served["tiny"], name=name)


@pytest.mark.parametrize("datatype", ["uint8", "TYPE_UINT8", "INT8", "FP32", "STRING", "", None, 8, ["UINT8"]])
def test_any_other_datatype_is_refused(served: dict[str, ServedModel], datatype: Any) -> None:
    with pytest.raises(MalformedRequest, match="takes 'UINT8'"):
        check(served["tiny"], datatype=datatype)


@given(shape=st.lists(st.integers(0, 2**63 - 1), min_size=4, max_size=4), given=st.integers(0, 2**64))
@example(shape=[2**32, 2**32, 1, 3], given=0)
@example(shape=[1, 2**63 - 1, 2**63 - 1, 3], given=3)
def test_a_size_is_compared_exactly(shape: list[int], given: int) -> None:
    """In 64 bits, the product of the first example would be 0."""
    if math.prod(shape) == given:
        check_size("image", shape, given)
    else:
        with pytest.raises(MalformedRequest, match=f"has {math.prod(shape)} bytes of UINT8, got {given}"):
            check_size("image", shape, given)


@given(shape=st.lists(edges, max_size=3) | json_values)
@example(shape=[4])
@example(shape=[4, 1])
def test_files_come_as_a_list_or_a_column_of_at_most_so_many(served: dict[str, ServedModel], shape: Any) -> None:
    """Bounds here: four images a request. JSON's `true` is no 1."""
    numbers = isinstance(shape, list) and all(type(size) is int for size in shape)
    if numbers and len(shape) in (1, 2) and 1 <= shape[0] <= 4 and shape[1:] in ([], [1]):
        taken = check(served["tiny"], datatype="BYTES", shape=shape)
        assert isinstance(taken, EncodedImages)
        assert len(taken.names) == shape[0]
    else:
        with pytest.raises(MalformedRequest):
            check(served["tiny"], datatype="BYTES", shape=shape)
