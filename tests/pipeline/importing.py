"""Imports of small networks for the tests: what a user would say, and what a folder holds before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from tests.pipeline.graphs import networks
from topfive_pipeline.importer import Imported, Plan, Wanted, carry_out, must_have_labels, plan
from topfive_pipeline.preprocessing.choices import Choices
from topfive_pipeline.preprocessing.flags import choices_said
from topfive_pipeline.proof.photos import Photo

LABELS: Final = ("ant", "bee", "cat")
SAID: Final = {"resize": "squash", "interpolation": "bilinear", "scale": "1/255", "mean": "0.5", "std": "0.25"}
"""A preprocessing that is whole, as flags."""
Network = Any


def said(**flags: Any) -> Choices:
    """`SAID` with other `flags`; one that is None is left out."""
    return choices_said(**SAID | flags)


def wanted(folder: Path, model: Network | None = None, **fields: Any) -> Wanted:
    """What is said of `model`, or of a network of one matrix, which is saved into `folder`."""
    path = networks.saved(networks.linear() if model is None else model, folder)
    given = {"name": "pets", "said": said(), "labels": LABELS, "labels_from": "pets.txt"} | fields
    return Wanted(model=path, **given)


def imported(given: Wanted, repository: Path, photos: Sequence[Photo], **options: Any) -> Imported:
    """All steps of `topfive import`."""
    planned: Plan = plan(given)
    must_have_labels(planned)
    return carry_out(planned, repository, photos, progress=lambda _: None, **options)


def with_other_weights(model: Network, factor: float = 2.0) -> Network:
    """The same network with its largest weight multiplied."""
    tensor = max(model.graph.initializer, key=lambda each: int(np.prod(each.dims)))
    array = onnx.numpy_helper.to_array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(array * array.dtype.type(factor), tensor.name))
    return model


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file in `folder` with its bytes, and every folder, hidden ones too; nothing if it does not exist."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def write_pictures(folder: Path) -> list[Photo]:
    """A few small pictures, as PNG."""
    folder.mkdir(exist_ok=True)
    pictures: dict[str, NDArray[Any]] = {
        "cat": data.chelsea()[::6, ::6],
        "coffee": data.coffee()[20:, ::5][::5],
        "rocket": data.rocket()[::4, 100:300:4],
    }
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    return [Photo(folder / f"{name}.png") for name in pictures]


Change = Callable[[Any], None]


def edit(path: Path, change: Change) -> None:
    """Change the graph in a file."""
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
