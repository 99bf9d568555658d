"""Photos for recipes that take a large network: which of them train, random crops of them, and as they are served."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import torch
from PIL import Image

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging.split import in_use
from topfive_pipeline.preprocessing.reference import pixels
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.photos import Photo, read_photos

_SMALLEST: Final = 0.7
"""A crop's side, as a share of the photo's shorter one; what is served is about 0.87 of it."""


def parts(folder: Path | None) -> tuple[list[Photo], list[Photo]]:
    """The photos of `folder` that train and those that choose; raises `ConfigurationError` if there are none."""
    if folder is None:
        raise ConfigurationError("this recipe trains on photos: say --photos FOLDER, some hundred with labels.csv")
    photos = read_photos(folder)
    training, dev = in_use(photos, "train"), in_use(photos, "dev")
    if not training or not dev or any(photo.label is None for photo in dev):
        raise ConfigurationError(
            f"--photos {folder}: of {len(photos)} photos, by the hash of their files, {len(training)} train and "
            f"{len(dev)} choose; both are needed, and labels: give some hundred photos with labels.csv"
        )
    return training, dev


def crops(photos: Sequence[Photo], each: int, sides: Sequence[int], seed: int) -> list[torch.Tensor]:
    """`each` random crops of every photo, half of them mirrored: the same for each of `sides`, UINT8 [n, 3, s, s]."""
    chance = Random(seed)  # noqa: S311
    seen: list[list[torch.Tensor]] = [[] for _ in sides]
    for photo in photos:
        image = photo.image()
        for _ in range(each):
            long = chance.uniform(_SMALLEST, 1) * min(image.size)
            x, y = (chance.uniform(0, length - long) for length in image.size)
            is_mirrored = chance.random() < 0.5
            for side, kept in zip(sides, seen, strict=True):
                crop = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box=(x, y, x + long, y + long)))
                kept.append(torch.from_numpy((crop[:, ::-1] if is_mirrored else crop).transpose(2, 0, 1).copy()))
    return [torch.stack(kept) for kept in seen]


def as_served(photos: Sequence[Photo], rules: Preprocessing) -> torch.Tensor:
    """The photos as the served graph resizes and crops them, UINT8 [n, 3, side, side]."""
    return torch.from_numpy(np.stack([pixels(photo.image(), rules).transpose(2, 0, 1) for photo in photos]))


def flags(rules: Preprocessing) -> list[str]:
    """What `topfive import` must be told of the `rules` of a network that knows the classes of ImageNet-1k."""
    return [
        "--resize", f"short-side:{rules.short_side}", "--crop", str(rules.crop[0]),
        "--crop-rounding", rules.crop_rounding, "--interpolation", rules.interpolation, "--scale", f"{rules.scale:g}",
        "--mean", f"{rules.mean[0]:g}", "--std", f"{rules.std[0]:g}", "--labels", "imagenet-1k",
    ]  # fmt: skip
