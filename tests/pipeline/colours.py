"""A network that tells colours apart, and labelled photos on which a wrong preprocessing shows.

The labels are drawn from the probabilities that the network gives under the right preprocessing. So no other one can
have a smaller expected loss, whatever the network is.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from tests.pipeline.graphs.networks import parsed, softmax
from topfive_pipeline.preprocessing.candidates import candidates
from topfive_pipeline.preprocessing.reference import network_input, pixels
from topfive_pipeline.preprocessing.rules import Preprocessing

SIDE: Final = 8
LABELS: Final = ("red", "green", "blue")
RULES: Final = dict(candidates(crop=(SIDE, SIDE)))["torchvision"]
"""What the network was trained with."""
_GAIN: Final = np.array([[2.5, -1.0, -1.5], [-1.0, 2.0, -1.0], [-1.5, -1.0, 2.5]], np.float32)


def network() -> Any:
    """FP32 [N,3,8,8] -> logits of three classes: a fixed map of the channels' means."""
    return parsed(
        f"net (float[N,3,{SIDE},{SIDE}] image) => (float[N,3] scores) "
        "{ mean = GlobalAveragePool(image) flat = Flatten<axis=1>(mean) scores = MatMul(flat, weights) }",
        weights=_GAIN,
    )


def write_photos(folder: Path, count: int, *, rules: Preprocessing = RULES) -> Path:
    """Wide pictures with other colours at their ends, which a centre crop does not see, and labels.csv."""
    generator = np.random.default_rng(7)
    folder.mkdir()
    rows = []
    for number in range(count):
        picture = np.empty((16, 40, 3), np.uint8)
        picture[:] = generator.integers(0, 256, 3)
        picture[:, 12:28] = generator.integers(40, 216, 3)
        Image.fromarray(picture).save(folder / f"{number}.png")
        tensor = network_input(pixels(picture, rules)[np.newaxis], rules, layout="NCHW")
        chances = softmax(tensor.mean(axis=(2, 3)) @ _GAIN)[0]
        rows.append((f"{number}.png", int(generator.choice(3, p=chances / chances.sum()))))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "index"), *rows])
    return folder
