"""Which images a form or JSON holds: those that are there, whatever their names, and none that is not meant as one."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import pytest

from tests.http.bodies.test_multipart import form, part
from topfive.ground.errors import MalformedRequest, TooLarge
from topfive.http.bodies.uploads import Upload, holds_json, read_upload
from topfive.http.parameters import JSON, MULTIPART, parse_query
from topfive.images.decoding import ImageLimits, RawShape
from topfive.request.sources import EncodedImage, EncodedImages

LIMITS: Final = ImageLimits(max_pixels=1000, max_dimension=100, max_images=3)
PNG: Final = b"\x89PNG\r\n\x1a\nand so on"
GIF: Final = b"GIF89aand so on"


def upload(body: bytes, query: str = "", media_type: str = MULTIPART, most: int = 10_000) -> Upload:
    header = f"{media_type}; boundary=X".encode()
    return read_upload(body, header, media_type, parse_query(query.encode()), limits=LIMITS, max_json_bytes=most)


def json_upload(document: Any, **options: Any) -> Upload:
    return upload(json.dumps(document).encode(), media_type=JSON, **options)


def files(found: Upload) -> list[bytes]:
    return [bytes(file) for file in found.body] if isinstance(found.source, EncodedImages) else [bytes(found.body)]  # type: ignore[arg-type]


NOT_IMAGES: Final = [
    part(b"hello", name="title", filename=None),
    part(b"", "Content-Type: application/octet-stream", name="other", filename=""),
    part(b'{"a": 1}', "Content-Type: application/json", name="meta", filename="meta.json"),
    part(b"notes", "Content-Type: text/plain; charset=utf-8", name="notes", filename="notes.txt"),
    part(b"", name="empty", filename="empty.jpg"),
]


@pytest.mark.parametrize("name", ["image", "file", "data", "files[]", "", "größe"])
@pytest.mark.parametrize("filename", [None, "", "photo.txt"])
@pytest.mark.parametrize("headers", [(), ("Content-Type: image/jpg",), ("Content-Type: text/plain",)])
def test_an_image_is_found_by_its_bytes(name: str, filename: str | None, headers: tuple[str, ...]) -> None:
    image = part(PNG, *headers, name=name, filename=filename)
    for parts in ([image], [*NOT_IMAGES, image], [image, *NOT_IMAGES]):
        found = upload(form(*parts))
        assert (files(found), found.source, found.listed) == ([PNG], EncodedImage(), False)


def test_several_come_in_the_order_of_their_parts_and_by_their_names() -> None:
    found = upload(form(part(PNG, name="a"), NOT_IMAGES[0], part(GIF, name="b"), part(PNG, name="a", filename=None)))
    assert files(found) == [PNG, GIF, PNG]
    assert found.source == EncodedImages(["part 1 ('a', 'photo.jpg')", "part 3 ('b', 'photo.jpg')", "part 4 ('a')"])
    assert found.listed


@pytest.mark.parametrize("headers", [(), ("Content-Type: image/jpeg",), ("Content-Type: application/pdf",)])
def test_a_file_that_is_no_image_is_not_left_out_among_images(headers: tuple[str, ...]) -> None:
    """Else the answer would have fewer entries than files were sent, and nobody could tell which."""
    assert files(upload(form(part(PNG), part(b"no image", *headers), part(PNG)))) == [PNG, b"no image", PNG]


def test_a_lone_file_that_is_no_image_is_refused_for_what_it_is() -> None:
    assert files(upload(form(part(b"no image", "Content-Type: text/plain"), NOT_IMAGES[0]))) == [b"no image"]
    assert files(upload(form(part(b"no image", name="file", filename=None)))) == [b"no image"]


@pytest.mark.parametrize("parts", [[], NOT_IMAGES[:2]])
def test_a_form_without_an_image_is_refused_with_what_it_has(parts: list[bytes]) -> None:
    with pytest.raises(MalformedRequest, match="no part of the form holds an image; it has"):
        upload(form(*parts))


def test_images_and_parts_are_bounded() -> None:
    assert len(files(upload(form(*[part(PNG)] * 3)))) == 3
    with pytest.raises(TooLarge, match="4 images; at most 3"):
        upload(form(*[part(PNG)] * 4))
    with pytest.raises(TooLarge, match="more than 67 parts"):
        upload(form(*[NOT_IMAGES[0]] * 68))


def test_raw_pixels_are_the_one_file() -> None:
    pixels = part(b"rgb", name="data", filename=None)
    for parts in ([pixels], [NOT_IMAGES[0], pixels], [part(b"rgb", name="x"), NOT_IMAGES[0]]):
        found = upload(form(*parts), "height=1&width=1")
        assert (bytes(found.body), found.source) == (b"rgb", RawShape(1, 1, 1))  # type: ignore[arg-type]
    for parts in ([part(b"rgb"), part(b"rgb")], [], [part(b"rgb", "Content-Type: image/png")]):
        with pytest.raises(MalformedRequest, match=r"raw pixels"):
            upload(form(*parts), "height=1&width=1")


B64: Final = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("document", "listed", "instances"),
    [
        ({"image": {"b64": B64}}, False, False),
        ({"image": B64}, False, False),
        ({"image": "data:image/png;base64," + B64}, False, False),
        ({"images": [{"b64": B64}]}, True, False),
        ({"instances": [{"b64": B64}]}, True, True),
        ({"instances": [B64], "signature_name": "serving_default"}, True, True),
        ({"instances": [{"image": {"b64": B64}}]}, True, True),
        ({"instances": [{"image_bytes": {"b64": B64}}]}, True, True),
        ({"instances": [{"image": B64}]}, True, True),
    ],
)
def test_json_holds_base64_in_these_shapes(document: Any, listed: bool, instances: bool) -> None:
    found = json_upload(document)
    assert (files(found), found.listed, found.instances) == ([PNG], listed, instances)
    assert found.copied_bytes == len(PNG)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "holds nothing"),
        ([], "must be a JSON object"),
        ({"img": B64}, "holds 'img'"),
        ({"image": B64, "top": 1}, "holds 'image', 'top'"),
        ({"image": None}, "'image' must be an image file in base64, and is null"),
        ({"image": [1, 2]}, "is a list"),
        ({"image": {"b64": 1}}, "is a number"),
        ({"image": {"b64": B64, "type": "png"}}, "is an object"),
        ({"image": {"a": {"b": {"b64": B64}}}}, "is an object"),
        ({"image": ""}, "'image' is empty"),
        ({"images": B64}, "'images' must be a list"),
        ({"instances": []}, "'instances' must be a list of at least one"),
        ({"instances": [{"b64": B64}, {"b64": "*"}]}, r"'instances\[1\]' is not base64"),
    ],
)
def test_other_json_is_refused_with_what_is_wrong(document: Any, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        json_upload(document)


def test_json_is_bounded_before_it_is_parsed() -> None:
    with pytest.raises(TooLarge, match="4 images; at most 3"):
        json_upload({"instances": [B64] * 4})
    with pytest.raises(TooLarge, match="bytes of JSON, and at most 20"):
        json_upload({"image": B64}, most=20)
    with pytest.raises(TooLarge, match="more than 4096 values"):
        upload(b"[" * 5000, media_type=JSON)


def test_json_is_known_by_its_brace_or_its_type() -> None:
    assert holds_json(b"{", "")
    assert holds_json(b"{", "image/jpeg")
    assert holds_json(b" \n{}", JSON)
    assert not holds_json(PNG, JSON)
    assert not holds_json(PNG, "")
