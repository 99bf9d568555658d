"""Small convolutional networks for the tests, as models in repositories, with photos that they tell apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from tests.pipeline.conftest import no_servers
from tests.pipeline.graphs.networks import parsed
from tests.pipeline.importing import imported, said, wanted
from topfive_pipeline.proof.photos import Photo

SIDE: Final = 16
LABELS: Final = ("ant", "bee", "cat")


def convolutional(*, clamp: str = "Clip(wide, low, high)", opset: int = 17) -> Any:
    """FP32 [N,3,16,16] -> scores of 3 classes: two convolutions, the second with a sum around it, and a matrix."""
    random = np.random.default_rng(3)

    def weights(*shape: int) -> Any:
        return random.standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))

    return parsed(
        f"net (float[N,3,{SIDE},{SIDE}] image) => (float[N,3] scores) {{"
        " wide = Conv<pads=[1,1,1,1]>(image, first, first_bias)"
        f" clamped = {clamp}"
        " inner = Conv<pads=[1,1,1,1]>(clamped, second)"
        " summed = Add(inner, clamped)"
        " mean = GlobalAveragePool(summed)"
        " flat = Flatten<axis=1>(mean)"
        " scores = Gemm(flat, third, third_bias) }",
        opset=opset,
        first=weights(8, 3, 3, 3) * np.float32(3),
        first_bias=weights(8) * np.float32(0.2),
        low=np.array(0, np.float32),
        high=np.array(6, np.float32),
        second=weights(8, 8, 3, 3),
        third=weights(8, 3) * np.float32(40),
        third_bias=weights(3),
    )


def repository(folder: Path, model: Any | None = None, **flags: Any) -> Path:
    """A repository with the model `pets`, imported; `flags` say its preprocessing otherwise than levels / 128 - 1."""
    folder.mkdir(exist_ok=True)
    given = wanted(
        folder,
        convolutional() if model is None else model,
        said=said(**({"scale": "1/128", "mean": "1", "std": "1"} | flags)),
        labels=LABELS,
    )
    picture = folder / "picture.png"
    Image.fromarray(np.random.default_rng(4).integers(0, 256, (20, 20, 3), np.uint8)).save(picture)
    with no_servers():
        done = imported(given, folder / "repository", [Photo(picture)])
    assert done.proof.failure is None
    return folder / "repository"


def crops(count: int, *, seed: int = 5) -> list[Any]:
    """UINT8 [16, 16, 3] each: a colour with noise upon it, so that scores differ."""
    random = np.random.default_rng(seed)
    return [
        np.clip(random.integers(0, 256, 3) + random.normal(0, 25, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        for _ in range(count)
    ]


def write_photos(folder: Path, count: int) -> Path:
    """That many pictures, as PNG, without labels."""
    folder.mkdir()
    for number, crop in enumerate(crops(count)):
        Image.fromarray(crop).save(folder / f"{number}.png")
    return folder
