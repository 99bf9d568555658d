"""The curve as a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.pipeline.optimising.test_curve import _point
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.optimising.plot import check, save


def test_the_curve_is_drawn(tmp_path: Path) -> None:
    points = [_point(2.4, 19, 0, 0.01), _point(2.2, 24, 2, 0.0), _point(1.5, 26, 5, 0.0)]
    save(points, points[1], tmp_path / "curve.png", title="pets in int8")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size == (700, 450)
    save(points, points[1], tmp_path / "curve.svg", title="pets in int8")
    assert (tmp_path / "curve.svg").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize("name", ["curve.jpg", "curve", "none/curve.png"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_tried(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--plot"):
        check(tmp_path / name)
