"""Pictures to prove graphs on: those of a folder, a few that come with topfive, and sizes that break things."""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.reference import decode
from topfive_pipeline.preprocessing.text_files import read_text

_SHIPPED: Final = Path(__file__).parent / "photos"
_ENDINGS: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
_LISTING: Final = "labels.csv"
_ODD_SIZES: Final = ((1, 1), (1, 64), (64, 1), (3, 900), (900, 3), (255, 257), (31, 33))
_FREE_SIDE: Final = 64
"""Pixels."""


class Unreadable(ConfigurationError):
    """A file is no picture, so that nothing is proven by it, nor disproven."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture's file; `label` is the index of its class, or None if it is not known."""

    path: Path
    label: int | None = None

    @property
    def name(self) -> str:
        return self.path.name

    def image(self) -> Image.Image:
        """The picture, upright, mode RGB; raises `Unreadable` if the file is none."""
        try:
            return decode(self.path)
        except (OSError, ValueError, SyntaxError, struct.error, MemoryError, Image.DecompressionBombError) as error:
            raise Unreadable(f"{self.path}: it cannot be read as a picture ({error}); remove it") from error


def shipped() -> list[Photo]:
    """The photos that come with topfive, without labels: enough to find a wrong graph, not to judge a model."""
    return [Photo(path) for path in sorted(_SHIPPED.glob("*.jpg"))]


def read_photos(folder: Path, *, labels: Sequence[str] = (), most: int | None = None) -> list[Photo]:
    """The pictures of `folder`, at most `most` of them, evenly spread.

    Their classes, if known, come from `folder`/labels.csv (columns `file` and `index`, or `file` and `label`) or from
    folders within, one for each class, with the names of `labels`. Raises `ConfigurationError`.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"--photos {folder}: there is no such folder; name one with pictures in it")
    if (folder / _LISTING).is_file():
        photos = list(_listed(folder, labels))
    else:
        photos = _in_folders(folder, labels) or [Photo(path) for path in _pictures(folder)]
    if not photos:
        within = ", ".join(path.name for path in _folders(folder))
        but = f"; the folders in it are not named like a class of the model: {within}" if within else ""
        raise ConfigurationError(f"--photos {folder}: it holds no pictures ({', '.join(sorted(_ENDINGS))}){but}")
    if most is not None and len(photos) > most:
        photos = [photos[index] for index in np.linspace(0, len(photos) - 1, most).round().astype(int)]
    return photos


def odd_images() -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Images UINT8 [H, W, 3] of noise in sizes that break things, with their names: `1x1`, and far from square."""
    generator = np.random.default_rng(0)
    for height, width in _ODD_SIZES:
        yield f"{height}x{width}", generator.integers(0, 256, (height, width, 3), np.uint8)


def noise_images(shape: Sequence[object], count: int) -> list[NDArray[np.uint8]]:
    """`count` images of noise in the `shape` [h, w, 3] that a graph takes: a side that is no number is free, so 64."""
    generator = np.random.default_rng(0)
    sizes = [size if isinstance(size, int) else _FREE_SIDE for size in shape]
    return [generator.integers(0, 256, sizes, np.uint8) for _ in range(count)]


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS and path.is_file())


def _folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _in_folders(folder: Path, labels: Sequence[str]) -> list[Photo]:
    """The pictures in folders that bear the names of classes; none if no folder does."""
    index_of = {label: index for index, label in enumerate(labels)}
    within = _folders(folder)
    known = [path for path in within if path.name in index_of]
    if known and len(known) < len(within):
        strangers = ", ".join(path.name for path in within if path.name not in index_of)
        raise ConfigurationError(
            f"--photos {folder}: these folders are not named like a class of the model: {strangers}"
        )
    return [Photo(path, index_of[each.name]) for each in known for path in _pictures(each)]


def _listed(folder: Path, labels: Sequence[str]) -> Iterator[Photo]:
    listing = folder / _LISTING
    index_of = {label: index for index, label in enumerate(labels)}
    reader = csv.DictReader(io.StringIO(read_text(listing)))
    try:
        fields = set(reader.fieldnames or ())
        if "file" not in fields or not fields & {"index", "label"}:
            raise ConfigurationError(
                f"{listing}: its first line must name the columns file, and index or label, with commas between them"
            )
        for line, row in enumerate(reader, start=2):
            where = f"{listing}, line {line}"
            if not row["file"]:
                raise ConfigurationError(f"{where}: it names no file")
            path = folder / row["file"]
            if "\0" in row["file"] or not path.is_file():
                raise ConfigurationError(f"{where}: there is no file {row['file']!r}; add it, or remove the line")
            yield Photo(path, _label_of(row, index_of, where=where))
    except csv.Error as error:
        raise ConfigurationError(f"{listing}: it cannot be read as CSV ({error}); check its quotes") from error


def _label_of(row: Mapping[str, str], index_of: Mapping[str, int], *, where: str) -> int:
    index, label = row.get("index") or "", row.get("label") or ""
    if index.isascii() and index.isdigit() and len(index) < 10:
        if index_of and int(index) >= len(index_of):
            raise ConfigurationError(f"{where}: index {index} is beyond the model's {len(index_of)} classes")
        return int(index)
    if label in index_of:
        return index_of[label]
    raise ConfigurationError(f"{where}: neither an index nor the label of a class of the model: {index or label!r}")
