"""Preprocessings that frameworks have written down, for `--from`: files beside the weights, and names of weights.

What lives here: which reader a path or a name belongs to. What does not: the readers, one module for each framework.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing import hugging_face_files, keras_names, timm_files, torchvision_names
from topfive_pipeline.preprocessing.choices import Choices
from topfive_pipeline.preprocessing.presets import PRESETS
from topfive_pipeline.preprocessing.rules import Size
from topfive_pipeline.preprocessing.text_files import read_json

SUPPORTED: Final = (
    "timm's config.json, Hugging Face's preprocessor_config.json, torchvision's weights (torchvision:resnet50 or "
    "ResNet50_Weights.IMAGENET1K_V2) or a Keras application (keras:ResNet50)"
)
_IN_A_FOLDER: Final = ("preprocessor_config.json", "processor_config.json", "config.json")


def read(path_or_name: str | Path, *, crop: Size | None = None, said: Collection[str] = ()) -> Choices:
    """What the file, the folder of such a file, or the name says.

    `crop`: height and width of the network's input, if they are known: where a file has two sizes, they choose; a
    file's other sizes are not scaled to them. `said`: the fields that flags say. The file is not refused for what it
    says of these; it may still say them, for its colour is the order of its mean and std.

    Raises `ConfigurationError`: the file cannot be read, is none of `SUPPORTED`, or says something of its pixels that
    `Preprocessing` cannot. Then the message names the flag that says it differently.
    """
    name, path = str(path_or_name), file_of(path_or_name)
    if path is None:
        if keras_names.is_keras(name):
            return keras_names.read(name, crop=crop)
        if torchvision_names.is_torchvision(name):
            return torchvision_names.read(name)
        if name in PRESETS:
            raise ConfigurationError(f"--from {name}: there is no such file; it is a preset: say --preset {name}")
        raise ConfigurationError(f"--from {name}: there is no such file, and it is no known name; give {SUPPORTED}")
    content = read_json(path)
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"{path}: it holds {_kind(content)}, no object; give {SUPPORTED}")
    if timm_files.is_timm(content):
        return timm_files.read(content, path=path, crop=crop, said=said)
    if hugging_face_files.is_hugging_face(content):
        return hugging_face_files.read(content, path=path, said=said)
    raise ConfigurationError(f"{path}: {_what_else(content)}; give {SUPPORTED}")


def file_of(path_or_name: str | Path) -> Path | None:
    """The file that is meant, also by its folder; None if there is none, so that it is a name.

    Raises `ConfigurationError` for a folder without such a file.
    """
    path = Path(path_or_name)
    try:
        if path.is_dir():
            return _in_folder(path)
        return path if path.is_file() else None
    except OSError as error:
        raise ConfigurationError(f"--from {path}: cannot be read ({error.strerror}); give {SUPPORTED}") from error


def _in_folder(folder: Path) -> Path:
    for name in _IN_A_FOLDER:
        if (folder / name).is_file():
            return folder / name
    raise ConfigurationError(f"{folder}: this folder has no {', '.join(_IN_A_FOLDER[:-1])} or {_IN_A_FOLDER[-1]}")


def _what_else(content: Mapping[str, object]) -> str:
    if "model_type" in content or "id2label" in content:
        return (
            "this is Hugging Face's configuration of a network; how images are prepared stands in the "
            "preprocessor_config.json beside it"
        )
    keys = ", ".join(sorted(content)[:6]) or "nothing"
    return f"this is no preprocessing that is known; it holds {keys}"


def _kind(content: object) -> str:
    if isinstance(content, list):
        return "a list"
    return "a text" if isinstance(content, str) else "a number or nothing"
