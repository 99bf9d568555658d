"""What lies in the folder of one model of the zoo, and the pictures that the frameworks and the service are asked.

NumPy and Pillow only, because it runs in the virtual environment of every framework. A folder holds

- `model.onnx`, its external data and the files that the command line names (labels, a preprocessing file);
- `zoo.json`: the arguments of `topfive import`, and what to expect (`Recipe`);
- `expected.npz`: `files` (names of pictures), `probabilities` FLOAT32 [pictures, classes], softmax or sigmoid applied,
  from the framework's own preprocessing and network; `inputs`, what the network got of the first three; and, of a model
  with an embedding, `embedding` FLOAT32 [pictures, width].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

PHOTOS: Final = "photos"
STRIPS: Final = "strips"
"""Whole photos; and their middles, as wide as a line of text."""
MODEL: Final = "model.onnx"
RECIPE: Final = "zoo.json"
EXPECTED: Final = "expected.npz"
COMMAND: Final = "command.txt"
TOLERANCE: Final = 2e-2
"""Largest difference of a probability, unless a recipe says otherwise.

Resize graphs promise Pillow's levels to within one. Random weights make much of that: where 1 in 100 values is a level
off, they answer 0.017 differently, ten times as much as trained ones do. On the same pixels all agree to 1e-5.
"""
SHOWN_INPUTS: Final = 3
STRIP: Final = 5
"""Width of a strip divided by its height."""

Pictures = dict[str, list[Image.Image]]
Prepare = Callable[[Image.Image], NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model is imported: arguments after the name, relative to its folder; the pictures that it is asked.

    `tolerance` is the largest difference of a probability that the framework's own arithmetic explains. A model with
    `refused` must not be imported, and the message must contain that.
    """

    arguments: list[str]
    pictures: str = PHOTOS
    tolerance: float = TOLERANCE
    refused: str = ""


def write_pictures(folder: Path, photos: Path, count: int) -> None:
    """Write `count` photos, evenly spaced in the order of their names, and their strips: upright, RGB, as PNG."""
    files = sorted(photos.glob("*.jpg"))
    for file in (files[place] for place in np.linspace(0, len(files) - 1, count).round().astype(int)):
        upright = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        upright.info.clear()  # a colour profile would be written too: the service follows it, and frameworks do not
        width, height = upright.size
        middle = upright.crop(
            (0, (height - width // STRIP) // 2, width, (height - width // STRIP) // 2 + width // STRIP)
        )
        for kind, picture in ((PHOTOS, upright), (STRIPS, middle)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            picture.save(folder / kind / f"{file.stem}.png")


def pictures(folder: Path, kind: str = PHOTOS) -> list[Image.Image]:
    """The pictures of a kind in the order of their names."""
    return [Image.open(file).convert("RGB") for file in sorted((folder / kind).glob("*.png"))]


def save(
    out: Path,
    name: str,
    recipe: Recipe,
    *,
    probabilities: NDArray[Any] | None = None,
    inputs: NDArray[Any] | None = None,
    embedding: NDArray[Any] | None = None,
) -> None:
    """Write what goes beside the model; `out` is the zoo, whose folders `photos` and `strips` hold the pictures."""
    folder = out / name
    (folder / RECIPE).write_text(json.dumps(asdict(recipe), indent=1) + "\n")
    words = ["topfive", "import", MODEL, "--name", name, *recipe.arguments]
    (folder / COMMAND).write_text(" ".join(words) + "\n")
    if probabilities is not None and inputs is not None:
        files = np.array([file.name for file in sorted((out / recipe.pictures).glob("*.png"))])
        shown = inputs[:SHOWN_INPUTS]
        arrays: dict[str, Any] = {"files": files, "probabilities": np.float32(probabilities), "inputs": shown}
        if embedding is not None:
            arrays["embedding"] = embedding
        np.savez(folder / EXPECTED, **arrays)
    print(f"{name}: {' '.join(words)}", flush=True)


def folder_of(out: Path, name: str) -> Path:
    """The folder of a model, made if it is not there."""
    (out / name).mkdir(parents=True, exist_ok=True)
    return out / name


def write_labels(path: Path, labels: Sequence[str]) -> str:
    """Write labels in the form that the ending asks for: a line each, `index,label` with a header, or an id2label."""
    if path.suffix == ".json":
        path.write_text(json.dumps({str(index): label for index, label in enumerate(labels)}, indent=1) + "\n")
    elif path.suffix == ".csv":
        lines = ["index,label", *(f'{index},"{label}"' for index, label in enumerate(labels))]
        path.write_text("\n".join(lines) + "\n")
    else:
        path.write_text("\n".join(labels) + "\n")
    return path.name


def softmax(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities along the last axis."""
    powers = np.exp(np.float64(scores) - np.max(np.float64(scores), axis=-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(scores: NDArray[Any]) -> NDArray[np.float64]:
    """The probability of each label by itself."""
    found: NDArray[np.float64] = 1 / (1 + np.exp(-np.float64(scores)))
    return found
