"""Base64 is read in all the ways in which it is written, and never with a byte skipped."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.ground.errors import MalformedRequest
from topfive.images.files import base64_text
from topfive.images.files.base64_text import decoded


@given(
    data=st.binary(max_size=200),
    url_safe=st.booleans(),
    padded=st.booleans(),
    width=st.none() | st.integers(1, 76),
    prefix=st.sampled_from(["", "data:;base64,", "data:image/jpeg;base64,", "DATA:image/png;name=x;BASE64,"]),
    chunk=st.sampled_from([4, 8, 1 << 20]),
)
def test_what_was_encoded_comes_back(
    data: bytes, url_safe: bool, padded: bool, width: int | None, prefix: str, chunk: int
) -> None:
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    text = text if padded else text.rstrip("=")
    if width is not None:
        text = "\r\n".join(text[start : start + width] for start in range(0, len(text), width)) + "\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base64_text, "_CHUNK", chunk)
        assert decoded(prefix + text, name="it") == data


@pytest.mark.parametrize(
    "text",
    ["A", "AAAAA", "AA=A", "AA=", "AAA==", "AAAA=", "A===", "=", "QQ==QQ==", "AA*A", "AA.A", "AAé=", "AAAA\0", "%2F9j"],
)
def test_what_is_not_base64_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(MalformedRequest, match="'image' is not base64"):
        decoded(text, name="'image'")


@pytest.mark.parametrize("text", ["data:image/png,AAAA", "data:AAAA", "data:" + "x" * 1000 + ";base64,AAAA"])
def test_a_data_url_says_that_it_is_base64(text: str) -> None:
    with pytest.raises(MalformedRequest, match="data: URL that is not base64"):
        decoded(text, name="it")


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        data = decoded(text, name="it")
    except MalformedRequest:
        return
    assert len(data) <= len(text) * 3 / 4
