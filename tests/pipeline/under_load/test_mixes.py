"""The images that contestants are loaded with are what their names say, and each has a whole request."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from topfive_loadgen.http1 import HEAD_END
from topfive_pipeline.proof.photos import shipped
from topfive_pipeline.under_load.mixes import PHOTOS, Query, Recipient, queries_of, requests_to

RECIPIENT = Recipient(host="example.org:8000", model="pets", version=3, api_key="secret")


@pytest.fixture(scope="module")
def complex_mix() -> dict[str, Query]:
    return {query.kind: query for query in queries_of("complex", shipped()[:1])}


def opened(query: Query) -> Image.Image:
    return Image.open(io.BytesIO(query.body))


def test_the_random_mix_has_photos_of_usual_sizes_in_three_forms() -> None:
    queries = queries_of("random", shipped())
    assert [query.kind for query in queries] == ["JPEG", "PNG", "raw"] * PHOTOS
    for jpeg, png, raw in zip(queries[::3], queries[1::3], queries[2::3], strict=True):
        assert (opened(jpeg).format, opened(png).format) == ("JPEG", "PNG")
        assert opened(jpeg).size == opened(png).size == (raw.query["width"], raw.query["height"])
        assert opened(png).convert("RGB").tobytes() == raw.body
        assert 100_000 < opened(jpeg).width * opened(jpeg).height < 1_000_000
    assert len({query.body for query in queries}) == len(queries)


def test_the_same_photos_make_the_same_requests() -> None:
    assert queries_of("random", shipped()[:1]) == queries_of("random", shipped()[:1])


def test_the_complex_mix_is_what_its_kinds_say(complex_mix: dict[str, Query]) -> None:
    assert opened(complex_mix["12 MP JPEG"]).size == (4000, 3000)
    assert opened(complex_mix["panorama JPEG"]).size == (8000, 400)
    assert opened(complex_mix["PNG with alpha"]).mode == "RGBA"
    assert opened(complex_mix["palette PNG"]).mode == "P"
    assert opened(complex_mix["16-bit PNG"]).mode.startswith("I")
    assert opened(complex_mix["CMYK JPEG"]).mode == "CMYK"
    assert opened(complex_mix["progressive JPEG"]).info["progressive"]
    assert opened(complex_mix["EXIF-rotated JPEG"]).size == (1200, 1600)
    assert len(complex_mix["12 MP raw"].body) == 3 * 12_000_000
    assert complex_mix["tower raw"].query == {"height": 8000, "width": 400}
    assert {query.scenario for query in complex_mix.values()} == {"raw", "jpeg"}


def test_a_request_names_whom_it_is_for_and_how_large_it_is() -> None:
    raw = Query(kind="raw", scenario="raw", media_type="a/b", body=b"pixels", query={"height": 1, "width": 2})
    ((head, body),) = requests_to(RECIPIENT, [raw])
    said = bytes(head).decode()
    assert said.startswith(
        "POST /v1/classify?model=pets&version=3&height=1&width=2 HTTP/1.1\r\nHost: example.org:8000\r\n"
    )
    assert "\r\nAuthorization: Bearer secret\r\n" in said
    assert said.endswith("Content-Length: 6\r\n\r\n")
    assert body == b"pixels"
    assert "secret" not in repr(RECIPIENT)


def test_what_is_not_said_is_left_to_the_server() -> None:
    jpeg = Query(kind="JPEG", scenario="jpeg", media_type="image/jpeg", body=b"file")
    ((head, _),) = requests_to(Recipient(host="h"), [jpeg])
    assert bytes(head).startswith(b"POST /v1/classify HTTP/1.1\r\n")
    assert b"Authorization" not in bytes(head)
    assert bytes(head).endswith(HEAD_END)
