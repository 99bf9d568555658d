"""What a client asks for is read strictly: each parameter once, numbers in plain digits, one reading for each type."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.ground.errors import MalformedRequest
from topfive.http.parameters import (
    JSON,
    MULTIPART,
    RAW,
    Parameters,
    is_form,
    media_type_of,
    parse_query,
    source_of,
)
from topfive.images.decoding import ENCODED_MEDIA_TYPES, RawShape
from topfive.request.sources import EncodedImage

NOTHING: Final = Parameters(
    model=None, version=None, timeout_seconds=None, height=None, width=None, count=None, top=None, threshold=None
)
NUMBERS: Final = ("version", "timeout_ms", "height", "width", "count", "top")


def query_error(query: bytes) -> str:
    with pytest.raises(MalformedRequest) as caught:
        parse_query(query)
    return str(caught.value)


def test_every_parameter_arrives_in_its_unit() -> None:
    assert parse_query(
        b"model=cat&version=2&timeout_ms=1500&height=3&width=4&count=5&top=6&threshold=.25"
    ) == Parameters(model="cat", version=2, timeout_seconds=1.5, height=3, width=4, count=5, top=6, threshold=0.25)


def test_a_long_query_is_read_and_not_kept() -> None:
    """So that what clients send cannot fill the memory; a short one is kept."""
    read = [parse_query(b"model=" + b"x" * size) for size in (250, 251) for _ in range(2)]
    assert [len(each.model or "") for each in read] == [250, 250, 251, 251]
    assert (read[0] is read[1], read[2] is read[3]) == (True, False)


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
HINTS: Final = ("", RAW, "image/jpeg", "image/jpg", "image/pjpeg", "image/x-png", "image/*", "image/none", "text/plain")


@pytest.mark.parametrize("text", ["0", "1", "0.5", ".5", "1.0", "0.0001", "00.5"])
def test_a_threshold_is_a_share(text: str) -> None:
    assert parameters(f"threshold={text}").threshold == float(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-0",
        "1.1",
        "2",
        "nan",
        "inf",
        "1e-3",
        "0,5",
        " 0.5",
        "0_1",
        "5.",
        "0x1",
        "\N{ARABIC-INDIC DIGIT ZERO}",
        "1" * 30,
    ],
)
def test_any_other_threshold_is_refused(text: str) -> None:
    assert "'threshold' must be a number from 0 to 1" in query_error(f"threshold={quote(text)}".encode())


@pytest.mark.parametrize("media_type", [*HINTS, *ENCODED_MEDIA_TYPES, JSON, "x" * 5000])
def test_without_a_size_a_body_is_looked_at_whatever_its_type(media_type: str) -> None:
    assert source_of(media_type, parameters("model=a&top=3")) == EncodedImage()


@pytest.mark.parametrize(
    "media_type", [RAW, "", "application/x-www-form-urlencoded", "text/plain", "binary/octet-stream"]
)
def test_what_has_a_size_is_raw_pixels(media_type: str) -> None:
    assert source_of(media_type, parameters(SIZE)) == RawShape(3, 4, 1)
    assert source_of(media_type, parameters(SIZE + "&count=9")) == RawShape(3, 4, 9)


@pytest.mark.parametrize("media_type", [RAW, "", "image/jpeg"])
@pytest.mark.parametrize("query", ["height=3", "width=4", "count=2", "height=3&count=2"])
def test_half_a_size_is_refused(media_type: str, query: str) -> None:
    with pytest.raises(MalformedRequest, match=r"height.*width"):
        source_of(media_type, parameters(query))


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/none", JSON])
def test_what_knows_its_own_size_is_given_none(media_type: str) -> None:
    with pytest.raises(MalformedRequest, match="knows its own size"):
        source_of(media_type, parameters(SIZE))


@pytest.mark.parametrize("media_type", [MULTIPART, "multipart/mixed", "multipart/related"])
def test_every_multipart_is_a_form(media_type: str) -> None:
    assert is_form(media_type)
    assert not is_form("image/jpeg")


@given(st.binary(max_size=40))
def test_any_content_type_has_a_reading(header: bytes) -> None:
    assert source_of(media_type_of(header), NOTHING) == EncodedImage()
