"""torchvision's weights by name: `ResNet50_Weights.IMAGENET1K_V2`, or `torchvision:resnet50` for a network's default.

The table beside this module is written by `torchvision_table.py` from torchvision itself, which is not needed here.
"""

from __future__ import annotations

import difflib
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.choices import Choice, Choices

TABLE: Final = "torchvision_weights.json"
_PREFIX: Final = "torchvision:"
_WEIGHTS: Final = re.compile(r"\w+_(Quantized)?Weights\.\w+")


def is_torchvision(name: str) -> bool:
    """Whether `name` is meant for this module."""
    return name.startswith(_PREFIX) or _WEIGHTS.fullmatch(name) is not None


def read(name: str) -> Choices:
    """What torchvision's `weights.transforms()` do, for the weights that `name` names.

    `ImageClassification`: the shorter side is resized with antialias, then the centre is cropped, its odd pixel rounded
    half to even; levels become 0..1. Raises `ConfigurationError` for weights of no classifier.
    """
    table, weights = _table(), weights_of(name)
    row = table["weights"].get(weights)
    if row is None:
        asked = name.removeprefix(_PREFIX)
        known = [*table["networks"], *table["weights"]]
        near = difflib.get_close_matches(asked, known, n=3, cutoff=0.5)
        did = f"did you mean {', '.join(near)}?" if near else "resnet50 is one, for example"
        raise ConfigurationError(
            f"--from {name}: torchvision {table['version']} has no classifier or weights of this name; {did}"
        )
    fields = {
        "resize": "short-side",
        "short_side": row["resize"],
        "crop": (row["crop"], row["crop"]),
        "interpolation": row["interpolation"],
        "antialias": True,
        "crop_rounding": "half-even",
        "fill": 0,
        "colour": "rgb",
        "scale": 1 / 255,
        "mean": tuple(row["mean"]),
        "std": tuple(row["std"]),
    }
    return {field: Choice(value, "read", f"torchvision {weights}") for field, value in fields.items()}


def weights_of(name: str) -> str:
    """Torchvision's own name of the weights that `name` means; `name` itself, without its prefix, if it knows none."""
    networks = _table()["networks"]
    asked = name.removeprefix(_PREFIX)
    weights: str = networks.get(asked.lower(), asked)
    if weights.endswith(".DEFAULT"):
        of_it = weights.removesuffix("DEFAULT")
        weights = next((one for one in networks.values() if one.startswith(of_it)), weights)
    return weights


@cache
def _table() -> Any:
    return json.loads(files(__package__).joinpath(TABLE).read_text(encoding="utf-8"))
