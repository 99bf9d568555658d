"""What a graph says of its origin, in ONNX's `metadata_props`: names and digests, no paths and no dates.

So the same import writes the same bytes, and `topfive check` knows what a graph was made to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import onnx

from topfive_pipeline.preprocessing.rules import Preprocessing

PREPROCESSING: Final = "preprocessing"
PRODUCER: Final = "topfive import"
_READ: Final = 1 << 20


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ):
            digest.update(block)
    return digest.hexdigest()


def stamp(model: Any, properties: Mapping[str, str]) -> None:
    """Write `properties` into `model` in the order of their names, in place of what was there."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(sorted(properties.items())))
    model.producer_name, model.producer_version = "topfive", ""


def rules_properties(rules: Preprocessing) -> dict[str, str]:
    """The properties of either graph: its maker, and its preprocessing as JSON."""
    fields = {name: value for name, value in asdict(rules).items() if value is not None}
    return {"exporter.onnx": version("onnx"), "producer": PRODUCER, PREPROCESSING: json.dumps(fields)}


def properties_of(model: Any) -> dict[str, str]:
    """The properties of `model` by name."""
    return {each.key: each.value for each in model.metadata_props}


def stamped_rules(properties: Mapping[str, str]) -> Preprocessing | None:
    """The preprocessing that a graph with these `properties` was made for, if `topfive import` made it.

    None too if it is not said as this version of it does.
    """
    if properties.get("producer") != PRODUCER or PREPROCESSING not in properties:
        return None
    try:
        fields: dict[str, Any] = json.loads(properties[PREPROCESSING])
        values: dict[str, Any] = {
            name: tuple(each) if isinstance(each, list) else each for name, each in fields.items()
        }
        return Preprocessing(**values)
    except (ValueError, TypeError, AttributeError):
        return None
