"""A small model as an import writes it, beside the network that it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from PIL import Image
from skimage import data

from tests.pipeline.graphs.networks import linear, saved
from topfive_pipeline import importer
from topfive_pipeline.entry.writing import written_aside
from topfive_pipeline.graphs.batch import free_batch
from topfive_pipeline.proof.models import Original, Written
from topfive_pipeline.proof.photos import Photo

NAME = "small"
SIDE = 32


@dataclass(frozen=True)
class Made:
    """Both halves of a proof, and photos for it."""

    written: Written
    original: Original
    photos: list[Photo]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A network for 32 x 32 pixels with torchvision's preset: the shorter side 37, bilinear, the centre."""
    folder = tmp_path_factory.mktemp("made")
    model = saved(linear(shape=f"N,3,{SIDE},{SIDE}"), folder)
    planned = importer.plan(
        importer.Wanted(model=model, name=NAME, preset="torchvision", labels=["ash", "beech", "cedar"])
    )
    entry = importer.build_entry(planned, free_batch(planned.network).network)
    photos = []
    for name, pixels in (("cat", data.chelsea()), ("coffee", data.coffee())):
        Image.fromarray(pixels).save(folder / f"{name}.png")
        photos.append(Photo(folder / f"{name}.png"))
    with written_aside(entry, folder / "repository", version=1) as aside:
        yield Made(importer.written_model(aside, entry, 1, threshold=None), importer.original(planned), photos)
