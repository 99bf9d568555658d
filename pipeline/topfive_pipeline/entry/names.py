"""The names of a model's three folders, and where its files are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError

GRAPH: Final = "model.onnx"
INT8_GRAPH: Final = "model.int8.onnx"
"""Where a config.pbtxt does not name it otherwise."""
LABELS: Final = "labels.txt"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def resize_name(name: str) -> str:
    """The model that makes crops of images."""
    return f"{name}_resize"


def classify_name(name: str) -> str:
    """The model that makes labels of crops."""
    return f"{name}_classify"


def folders(name: str) -> tuple[str, str, str]:
    """The folders of the model `name`; the ensemble is the last, for it needs the others."""
    return resize_name(name), classify_name(name), name


def graph_path(repository: Path, model: str, version: int) -> Path:
    """Where the graph of one of the three models lies."""
    return repository / model / str(version) / GRAPH


def check_name(name: str) -> None:
    """Raise `ConfigurationError` unless `name` can be a folder and a part of a URL everywhere, and is no step's."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"--name {name!r}: a name has letters, digits, '_', '-' and '.', begins with a letter or digit, and has at "
            "most 100 characters"
        )
    if name.endswith(".") or _DEVICE.fullmatch(name):
        raise ConfigurationError(f"--name {name!r}: Windows takes no folder of this name; choose another")
    for step in (resize_name(""), classify_name("")):
        if name.endswith(step):
            raise ConfigurationError(
                f"--name {name!r}: names that end in {step!r} are for the steps of other models; choose another"
            )
