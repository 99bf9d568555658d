"""What a client asks for is read strictly: each parameter once, numbers in plain digits, one reading for each type."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.classifier import EncodedImage, Source
from service.errors import MalformedRequest, UnsupportedMediaType
from service.images import ANY_IMAGE, ENCODED_MEDIA_TYPES, RawShape
from service.routes.parameters import MULTIPART, RAW, Parameters, media_type_of, parse_query, source_of

NOTHING: Final = Parameters(model=None, version=None, timeout_seconds=None, height=None, width=None, count=None)
NUMBERS: Final = ("version", "timeout_ms", "height", "width", "count")


def query_error(query: bytes) -> str:
    with pytest.raises(MalformedRequest) as caught:
        parse_query(query)
    return str(caught.value)


def test_every_parameter_arrives_in_its_unit() -> None:
    assert parse_query(b"model=cat&version=2&timeout_ms=1500&height=3&width=4&count=5") == Parameters(
        model="cat", version=2, timeout_seconds=1.5, height=3, width=4, count=5
    )


@pytest.mark.parametrize("query", [b"", b"&", b"&&&"])
def test_no_query_means_no_parameters(query: bytes) -> None:
    assert parse_query(query) == NOTHING


@given(
    model=st.none() | st.text(max_size=20),
    numbers=st.dictionaries(st.sampled_from(NUMBERS), st.integers(1, 10**12 - 1)),
    data=st.data(),
)
def test_any_order_and_any_model_name_are_read_back(
    model: str | None, numbers: dict[str, int], data: st.DataObject
) -> None:
    given: dict[str, str | int] = {**numbers} if model is None else {"model": model, **numbers}
    read = parse_query(urlencode(data.draw(st.permutations(list(given.items())))).encode())
    assert read.model == model
    assert (read.version, read.height, read.width, read.count) == tuple(
        numbers.get(name) for name in ("version", "height", "width", "count")
    )
    assert read.timeout_seconds == (numbers["timeout_ms"] / 1000 if "timeout_ms" in numbers else None)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "00", "-1", "+1", " 1", "1 ", "1_0", "1.0", "1e3", "0x10", "ten", "1" * 13),
        *("\N{FULLWIDTH DIGIT ONE}", "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT ONE}"),
    ],
)
def test_a_number_is_plain_digits_above_zero(name: str, text: str) -> None:
    assert f"'{name}'" in query_error(f"{name}={quote(text)}".encode())


@pytest.mark.parametrize("name", ["model", *NUMBERS])
def test_a_parameter_is_given_once(name: str) -> None:
    assert f"'{name}' is given twice" in query_error(f"{name}=1&{name}=1".encode())


@pytest.mark.parametrize("name", ["Height", "heigth", "timeout", "", "model ", "x" * 1000])
def test_an_unknown_parameter_is_refused_with_the_known_ones(name: str) -> None:
    message = query_error(f"{quote(name)}=1".encode())
    assert f"'{name[:50]}'" in message
    assert all(known in message for known in ("model", *NUMBERS))
    assert len(message) < 300


def test_a_parameter_without_a_value_is_not_skipped() -> None:
    assert "'height'" in query_error(b"height&width=2")


@pytest.mark.parametrize("query", [b"model=\xff", b"model=%ff", b"model=caf\xc3\xa9", b"&".join([b"height=1"] * 99)])
def test_a_query_that_cannot_be_read_is_refused(query: bytes) -> None:
    assert "query string" in query_error(query)


@given(st.binary(max_size=60) | st.text("modelheightwidcunrsvt_=&%+;0123456789", max_size=60).map(str.encode))
def test_any_query_is_read_or_refused(query: bytes) -> None:
    try:
        parameters = parse_query(query)
    except MalformedRequest:
        return
    values = (parameters.version, parameters.height, parameters.width, parameters.count)
    assert all(value is None or value >= 1 for value in values)


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        (b"", ""),
        (b"image/jpeg", "image/jpeg"),
        (b" Image/JPEG ; charset=utf-8", "image/jpeg"),
        (b"multipart/form-data; boundary=x;y", "multipart/form-data"),
        (b"\xff\xfe", "ÿþ"),
        (b";", ""),
    ],
)
def test_the_media_type_is_what_comes_before_the_parameters(header: bytes, media_type: str) -> None:
    assert media_type_of(header) == media_type


def parameters(query: str) -> Parameters:
    return parse_query(query.encode())


SIZE: Final = "height=3&width=4"


@pytest.mark.parametrize(
    ("media_type", "query", "in_form", "expected"),
    [
        *((media_type, "model=a", False, EncodedImage()) for media_type in ENCODED_MEDIA_TYPES),
        *((media_type, "", True, EncodedImage()) for media_type in ENCODED_MEDIA_TYPES),
        (RAW, SIZE, False, RawShape(3, 4, 1)),
        (RAW, SIZE + "&count=9", False, RawShape(3, 4, 9)),
        (RAW, SIZE, True, RawShape(3, 4, 1)),
        (RAW, "", True, EncodedImage()),
        (ANY_IMAGE, "", True, EncodedImage()),
        ("", "", True, EncodedImage()),
    ],
)
def test_the_type_and_the_size_decide_how_a_body_is_read(
    media_type: str, query: str, in_form: bool, expected: Source
) -> None:
    assert source_of(media_type, parameters(query), in_form=in_form) == expected


@pytest.mark.parametrize("in_form", [False, True])
@pytest.mark.parametrize(
    ("media_type", "query"),
    [
        (RAW, "height=3"),
        (RAW, "width=4"),
        (RAW, "count=2"),
        ("image/jpeg", SIZE),
        ("image/png", "count=2"),
        ("image/png", "height=3"),
    ],
)
def test_sizes_are_for_raw_pixels_and_raw_pixels_need_them(media_type: str, query: str, in_form: bool) -> None:
    with pytest.raises(MalformedRequest, match=r"height.*width"):
        source_of(media_type, parameters(query), in_form=in_form)


def test_a_raw_body_needs_its_size() -> None:
    with pytest.raises(MalformedRequest, match=r"height=.*width="):
        source_of(RAW, NOTHING)


@pytest.mark.parametrize("query", ["", SIZE])
@pytest.mark.parametrize(
    ("media_type", "in_form"),
    [
        ("", False),
        (ANY_IMAGE, False),
        (MULTIPART, True),
        ("image/x-icon", False),
        ("image/svg+xml", True),
        ("application/json", False),
        ("text/plain", True),
        ("x" * 5000, False),
    ],
)
def test_other_types_are_refused_with_those_that_are_served(media_type: str, in_form: bool, query: str) -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        source_of(media_type, parameters(query), in_form=in_form)
    assert f"'{media_type[:100]}'" in str(caught.value)
    assert all(served in str(caught.value) for served in (RAW, MULTIPART, *ENCODED_MEDIA_TYPES))
    assert len(str(caught.value)) < 450


@given(st.binary(max_size=40), st.booleans())
def test_any_content_type_has_one_reading_or_is_refused(header: bytes, in_form: bool) -> None:
    try:
        source = source_of(media_type_of(header), NOTHING, in_form=in_form)
    except (MalformedRequest, UnsupportedMediaType):
        return
    assert isinstance(source, EncodedImage)
