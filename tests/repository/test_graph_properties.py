"""What a graph says of itself is read from its file as it stands; of what says nothing, or is no graph, nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.testkit.tiny_models import REAL_REPOSITORY
from topfive.repository.graph_properties import PREPROCESSING, property_of

RESIZE = REAL_REPOSITORY / "efficientnet_lite0_resize" / "1" / "model.onnx"


def test_the_shipped_model_says_how_it_prepares_images() -> None:
    said = json.loads(property_of(RESIZE, PREPROCESSING))
    assert (said["resize"], said["short_side"], said["crop"]) == ("short-side", 256, [224, 224])
    assert property_of(RESIZE, "producer") == "topfive import"


def test_what_says_nothing_has_nothing_to_pass_on() -> None:
    assert property_of(RESIZE, "no such property") == ""


@pytest.mark.parametrize(
    "content", [b"", b"no graph", RESIZE.read_bytes()[:500], None], ids=["empty", "other", "cut", "gone"]
)
def test_what_is_no_graph_says_nothing(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    assert property_of(path, PREPROCESSING) == ""


def entry(name: bytes, value: bytes) -> bytes:
    """A `metadata_props` of onnx.proto; lengths of up to 2097151 bytes."""

    def sized(field: int, content: bytes) -> bytes:
        length = len(content)
        return bytes([field << 3 | 2, length & 127 | 128, length >> 7 & 127 | 128, length >> 14]) + content

    return sized(14, sized(1, name) + sized(2, value))


@pytest.mark.parametrize(("size", "said"), [(1 << 16, 1 << 16), ((1 << 16) + 1, 0)])
def test_a_text_that_is_too_long_is_not_kept(tmp_path: Path, size: int, said: int) -> None:
    """It is held for as long as the model is served."""
    path = tmp_path / "model.onnx"
    path.write_bytes(entry(b"other", b"x") + entry(b"preprocessing", b"x" * size))
    assert len(property_of(path, PREPROCESSING)) == said


def test_what_is_no_text_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(entry(b"preprocessing", b"\xff"))
    assert property_of(path, PREPROCESSING) == ""
