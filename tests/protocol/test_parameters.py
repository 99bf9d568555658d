"""Parameters mean one thing or are refused, whichever way they came, and are shown to nobody at length."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testkit.oip_bodies import INT63
from topfive.ground.errors import MalformedRequest, Unsupported
from topfive.protocol.parameters import (
    check_parameters,
    check_reserved,
    flag_of,
    is_count,
    priority_of,
    refuse_model_files,
    shown,
    timeout_of,
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(anything)
def test_a_timeout_is_a_whole_number_of_microseconds(value: Any) -> None:
    if type(value) is int and 0 <= value <= INT63:
        assert timeout_of(value) == (value * 1e-6 if value else None)
    else:
        with pytest.raises(MalformedRequest, match="'timeout'"):
            timeout_of(value)


@pytest.mark.parametrize(("microseconds", "seconds"), [(0, None), (1, 1e-6), (250_000, 0.25), (INT63, INT63 * 1e-6)])
def test_a_timeout_of_zero_is_none(microseconds: int, seconds: float | None) -> None:
    assert timeout_of(microseconds) == seconds


@given(anything)
def test_a_priority_is_a_whole_number(value: Any) -> None:
    if type(value) is int and value >= 0:
        assert priority_of(value) == value
    else:
        with pytest.raises(MalformedRequest, match="'priority'"):
            priority_of(value)


@given(anything)
def test_a_flag_is_true_or_false(value: Any) -> None:
    if isinstance(value, bool):
        assert flag_of({"x": value}, "x") is value
    else:
        with pytest.raises(MalformedRequest, match="'x' must be true or false"):
            flag_of({"x": value}, "x")


@pytest.mark.parametrize("default", [True, False])
def test_a_flag_that_is_not_given_is_its_default(default: bool) -> None:
    assert flag_of({"y": not default}, "x", default=default) is default


@given(anything)
def test_a_parameter_is_one_value(value: Any) -> None:
    if isinstance(value, str | int | float):
        check_parameters({"x": value}, "the request")
    else:
        with pytest.raises(MalformedRequest, match="'x' of the request"):
            check_parameters({"x": value}, "the request")


def test_a_reserved_name_is_refused() -> None:
    check_reserved({"triton": 1, "x_triton_": 2})
    with pytest.raises(MalformedRequest, match="'triton_x' is reserved"):
        check_reserved({"a": 1, "triton_x": 2})


@pytest.mark.parametrize("name", ["config", "file:1/model.onnx", "file:"])
def test_a_request_to_load_brings_no_model(name: str) -> None:
    refuse_model_files(["unload_dependents", "configuration", "file"])
    with pytest.raises(Unsupported, match=name):
        refuse_model_files(["x", name])


@pytest.mark.parametrize(("value", "is_one"), [(0, True), (1 << 70, True), (-1, False), (True, False), (1.0, False)])
def test_a_count_is_no_boolean_and_no_fraction(value: Any, is_one: bool) -> None:
    assert is_count(value) is is_one


@given(anything | st.just("x" * 10_000) | st.just([[[[[["x"] * 1000] * 1000]]]]))
def test_what_is_shown_is_short(value: Any) -> None:
    assert 0 < len(shown(value)) <= 101


@pytest.mark.parametrize(("check", "start"), [(check_reserved, "triton_"), (refuse_model_files, "file:")])
def test_a_name_is_cut_short(check: Any, start: str) -> None:
    with pytest.raises((MalformedRequest, Unsupported)) as refusal:
        check({start + "x" * 5000: 1})
    assert len(str(refusal.value)) < 300
