"""Writes the table of torchvision's weights that `topfive import --from torchvision:NAME` reads.

A tool for developers, run where torchvision is installed: `python deploy/torchvision_table.py`.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "pipeline/topfive_pipeline/preprocessing/torchvision_weights.json"


def table(torchvision: Any) -> dict[str, Any]:
    """The weights of all classifiers with what their transforms do, and the default weights of each network."""
    models, presets = torchvision.models, importlib.import_module("torchvision.transforms._presets")
    weights, networks = {}, {}
    for network in models.list_models():
        kind = models.get_model_weights(network)
        for one in kind:
            transforms = one.transforms()
            if isinstance(transforms, presets.ImageClassification):
                weights[str(one)] = _row(transforms)
        if str(getattr(kind, "DEFAULT", "")) in weights:
            networks[network] = str(kind.DEFAULT)
    version = torchvision.__version__.partition("+")[0]
    return {"version": version, "networks": networks, "weights": dict(sorted(weights.items()))}


def _row(transforms: Any) -> dict[str, Any]:
    (resize,), (crop,) = transforms.resize_size, transforms.crop_size
    if transforms.antialias is not True:
        raise ValueError(f"{transforms}: the reader takes antialias for granted")
    return {
        "resize": resize,
        "crop": crop,
        "interpolation": transforms.interpolation.value,
        "mean": transforms.mean,
        "std": transforms.std,
    }


def text(content: dict[str, Any]) -> str:
    """JSON with one line for each network and each weights, so that a change is seen in a diff."""
    parts = [f'  "version": {json.dumps(content["version"])}']
    for name in ("networks", "weights"):
        rows = ",\n".join(f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in content[name].items())
        parts.append(f'  "{name}": {{\n{rows}\n  }}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    TABLE.write_text(text(table(importlib.import_module("torchvision"))), encoding="utf-8")
